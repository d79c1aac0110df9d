"""Traces of real calls between real pods, as Jaeger has them."""

import pytest

from tests.e2e.calls import SAMPLED, called, edges, only, traces_of, unique

PAY = "PaymentService/ProcessPayment"
PLACE = "OrderService/PlaceOrder"
ERRORS_OF_A_SERVER = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
CODES = (
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
# method: messages that the client sends, and that it receives
KINDS = {
    "payment.ProcessPayment": (1, 1),
    "payment.ProcessBatch": (5, 1),
    "payment.ListPayments": (1, 5),
    "payment.ProcessStream": (5, 5),
    "order.PlaceOrder": (1, 1),
    "order.FillBasket": (5, 1),
    "order.StreamOrderUpdates": (1, 10),
    "order.TrackOrders": (5, 5),
}
PAYMENT_BYTES, ANSWER_BYTES = 26, 48  # of customer-1's payment, and of its answer, as protobuf


def test_one_trace_goes_from_the_client_through_order_to_both_payment_services(production, jaeger):
    (trace,) = called(production, jaeger, "--orders=1", spans=8)
    assert edges(trace) == sorted([
        ("", f"client client {PLACE}"),
        (f"client client {PLACE}", f"order-service server {PLACE}"),
        (f"order-service server {PLACE}", f"order-service client {PAY}"),
        (f"order-service server {PLACE}", f"order-service client {PAY}"),
        (f"order-service client {PAY}", f"payment-service server {PAY}"),
        (f"order-service client {PAY}", f"payment-go server {PAY}"),
        (f"payment-service server {PAY}", "payment-service internal validate_payment"),
        (f"payment-go server {PAY}", "payment-go internal validate_payment"),
    ])  # fmt: skip


def test_context_goes_from_a_python_client_to_a_go_server_and_from_a_go_client_to_a_python_server(production, jaeger):
    (trace,) = called(
        production, jaeger, "--payment=payment-go:50051", "--call=payment.ProcessPayment:via-upstream", spans=6
    )
    assert edges(trace) == sorted([
        ("", f"client client {PAY}"),
        (f"client client {PAY}", f"payment-go server {PAY}"),
        (f"payment-go server {PAY}", "payment-go internal validate_payment"),
        (f"payment-go server {PAY}", f"payment-go client {PAY}"),
        (f"payment-go client {PAY}", f"payment-service server {PAY}"),
        (f"payment-service server {PAY}", "payment-service internal validate_payment"),
    ])  # fmt: skip


def test_a_go_client_that_begins_a_trace_is_followed_by_the_python_server(production, jaeger):
    command = ("/payment-go", "client", "-ok=200")  # a tenth is sampled: that none is happens once in 10^9 runs
    production.kubectl.exec("production", "deploy/payment-go", *command)
    wanted = [
        ("", f"payment-go client {PAY}"),
        (f"payment-go client {PAY}", f"payment-service server {PAY}"),
        (f"payment-service server {PAY}", "payment-service internal validate_payment"),
    ]
    traces_of(
        jaeger, "payment-go", lambda found: any(edges(trace) == wanted for trace in found), what="a trace that Go began"
    )


@pytest.fixture(scope="module", params=["sync", "aio"])
def by_method(request, production, jaeger):
    """Call every method once; return its trace by `service.Method`."""
    spans = 40  # 8 client and 8 server spans, 9 manual ones of payments, 1 + 10 of updates, and 4 of order's own calls
    traces = called(
        production,
        jaeger,
        f"--mode={request.param}",
        *(f"--call={name}" for name in KINDS),
        spans=spans,
        calls=len(KINDS),
    )
    return {
        root.name.partition(".")[0] + "." + root.name.partition("/")[2]: trace
        for trace in traces
        for root in trace
        if not root.parent_id
    }


@pytest.mark.parametrize("method", KINDS)
def test_each_kind_of_call_tells_its_messages_on_both_sides(by_method, method):
    trace, (sent, received) = by_method[method], KINDS[method]
    service, name = method.split(".")
    client, server = only(trace, "client", "client", name), only(trace, f"{service}-service", "server", name)
    assert server.parent_id == client.span_id
    assert (client.status, server.status) == ("OK", "OK")
    assert traffic(client, "messages") == (sent, received)
    assert traffic(server, "messages") == (received, sent)
    assert traffic(client, "bytes") == tuple(reversed(traffic(server, "bytes")))
    assert client.start - 0.001 <= server.start <= client.start + client.duration


def test_sizes_are_those_of_the_protobuf_messages(by_method):
    assert traffic(only(by_method["payment.ProcessPayment"], "client", "client"), "bytes") == (
        PAYMENT_BYTES,
        ANSWER_BYTES,
    )
    assert traffic(only(by_method["payment.ProcessStream"], "client", "client"), "bytes") == (
        5 * PAYMENT_BYTES,
        5 * ANSWER_BYTES,
    )


def test_manual_spans_are_children_of_the_server_span_and_carry_their_attributes(by_method):
    trace = by_method["payment.ProcessPayment"]
    manual = only(trace, "payment-service", "internal")
    assert manual.parent_id == only(trace, "payment-service", "server").span_id
    assert (manual.name, manual.tags["payment.amount"], manual.tags["payment.currency"]) == (
        "validate_payment",
        42.0,
        "EUR",
    )


def test_an_asyncio_stream_has_one_manual_span_per_message_below_that_of_the_stream(by_method):
    trace = by_method["order.StreamOrderUpdates"]
    stream = next(span for span in trace if span.name == "stream_order_updates")
    assert stream.parent_id == only(trace, "order-service", "server", "StreamOrderUpdates").span_id
    updates = [span for span in trace if span.name == "send_update"]
    assert len(updates) == 10
    assert {span.parent_id for span in updates} == {stream.span_id}
    assert stream.duration >= 1.0  # ten times 100 ms


def test_every_span_tells_its_pod_and_deployment(by_method, production):
    pods = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in production.kubectl.items("pods", "production")}
    for span in by_method["order.PlaceOrder"]:
        assert span.resource["k8s.namespace.name"] == "production"
        assert pods[span.resource["k8s.pod.name"]] == span.resource["k8s.pod.uid"]
        assert span.resource["k8s.deployment.name"] in {"load-client", "order-service", "payment-service", "payment-go"}


@pytest.mark.parametrize("mode", ["sync", "aio"])
def test_every_status_a_handler_can_end_with_is_told_by_both_sides_and_is_an_error_where_the_conventions_say_so(
    production, jaeger, mode
):
    calls = [f"--call=payment.ProcessPayment:fail-{code}" for code in CODES]
    traces = called(production, jaeger, f"--mode={mode}", *calls, spans=3 * len(CODES), calls=len(CODES))
    told = {(only(t, "client", "client").status, only(t, "payment-service", "server").status) for t in traces}
    assert told == {(code, code) for code in CODES}
    for trace in traces:
        client, server = only(trace, "client", "client"), only(trace, "payment-service", "server")
        assert client.failed
        assert server.failed == (server.status in ERRORS_OF_A_SERVER)


@pytest.mark.parametrize(
    ("call", "told", "server_status"),
    [
        (["--call=payment.ProcessPayment:crash"], {"UNKNOWN"}, "UNKNOWN"),
        (["--call=payment.ListPayments:fail-UNAVAILABLE"], {"UNAVAILABLE"}, "UNAVAILABLE"),
        (["--call=payment.ProcessPayment", "--payment=order-service:50052"], {"UNIMPLEMENTED"}, "UNIMPLEMENTED"),
        (["--call=order.StreamOrderUpdates:fail-NOT_FOUND"], {"NOT_FOUND"}, "NOT_FOUND"),
        (["--call=payment.ProcessStream:crash"], {"UNKNOWN", "INTERNAL"}, "UNKNOWN"),
        (["--call=order.FillBasket:crash"], {"UNKNOWN", "INTERNAL"}, "UNKNOWN"),
        (["--call=payment.ProcessPayment:slow-1500", "--timeout=0.5"], {"DEADLINE_EXCEEDED"}, None),
        (["--call=payment.ProcessPayment", "--payment=localhost:1"], {"UNAVAILABLE"}, None),
    ],
    ids=[
        "handler raises", "stream aborts", "no such method", "asyncio stream aborts", "stream raises", "asyncio raises", "deadline", "nobody listens",
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["sync", "aio"])
def test_each_way_to_fail_is_told_as_the_application_saw_it(production, jaeger, mode, call, told, server_status):
    service = unique("client")
    summary = production.load(f"--mode={mode}", *call, service=service, environment=SAMPLED)
    ((seen,),) = (endings for endings in summary["calls"].values())
    assert seen in told
    (trace,) = traces_of(
        jaeger,
        service,
        lambda found: found and (server_status is None or any(span.kind == "server" for span in found[0])),
        what=f"trace of {call}",
    )
    client = only(trace, "client", "client")
    # Where a server ends a call that the client still writes to, grpc.aio tells the application by chance INTERNAL or what
    # the server said; the span tells what the server said.
    assert (client.status, client.failed) == (server_status if seen == "INTERNAL" else seen, True)
    if server_status:
        (server,) = [span for span in trace if span.kind == "server"]
        assert (server.status, server.parent_id) == (server_status, client.span_id)
        assert server.failed == (server_status in ERRORS_OF_A_SERVER)


def traffic(span, unit):
    """Return what *span* sent and received."""
    return tuple(int(span.tags[f"grpctracing.{unit}.{way}"]) for way in ("sent", "received"))
