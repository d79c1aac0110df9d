"""All four kinds of call, sync and asyncio, across processes: one trace, right parents, attributes, counts and bytes."""

import ast
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bootstrap.process import run, start, using_apps, wait

APP = Path("plain.py")
# kind → (sent by the client, received by the client), as (messages, bytes)
TRAFFIC = {"UU": ((1, 3), (1, 6)), "US": ((1, 3), (2, 6)), "SU": ((2, 5), (1, 5)), "SS": ((2, 5), (2, 5))}


@contextmanager
def serving(stack, receiver, **env):
    server = start(APP, "serve", stack, endpoint=receiver.endpoint, OTEL_SERVICE_NAME="server", **env)
    try:
        yield server.stdout.readline().strip()
    finally:
        ended = wait(server)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("client", ["sync", "aio"])
@pytest.mark.parametrize("server", ["sync", "aio"])
def test_calls_between_processes_are_one_trace_each(receiver, client, server):
    with serving(server, receiver) as port:
        run(APP, "call", client, port, endpoint=receiver.endpoint, OTEL_SERVICE_NAME="client")
    for kind, (sent, received) in TRAFFIC.items():
        name = f"test.Echo/{kind}"
        outer, inner = receiver.one("CLIENT", name), receiver.one("SERVER", name)
        assert (outer.parent, outer.service, inner.service) == ("", "client", "server")
        assert (inner.trace, inner.parent) == (outer.trace, outer.id)
        assert outer.start <= inner.start
        assert (outer.status, inner.status) == ("UNSET", "UNSET")
        for span, (out, back) in ((outer, (sent, received)), (inner, (received, sent))):
            found = span.attributes
            assert (found["grpctracing.messages.sent"], found["grpctracing.bytes.sent"]) == out
            assert (found["grpctracing.messages.received"], found["grpctracing.bytes.received"]) == back
        assert (outer.attributes["server.address"], outer.attributes["server.port"]) == ("localhost", int(port))
        assert inner.attributes["network.peer.address"] in {"127.0.0.1", "::1"}
        assert inner.attributes["network.peer.port"] != int(port)
    assert len({span.trace for span in receiver.spans}) == len(TRAFFIC)
    assert len(receiver.spans) == 2 * len(TRAFFIC)
    assert {span.scope for span in receiver.spans} == {"grpctracing"}


@pytest.mark.parametrize(
    ("opt_in", "older"), [("", True), ("rpc/dup", True), ("rpc/dup,rpc", True), ("rpc", False), ("http", True)]
)
def test_names_of_attributes(receiver, opt_in, older):
    run(APP, "both", "sync", endpoint=receiver.endpoint, OTEL_SEMCONV_STABILITY_OPT_IN=opt_in)
    for kind in ("CLIENT", "SERVER"):
        found = receiver.one(kind, "test.Echo/UU").attributes
        stable = {"rpc.system.name": "grpc", "rpc.method": "test.Echo/UU", "rpc.response.status_code": "OK"}
        assert {key: found.get(key) for key in stable} == stable
        old = {"rpc.system": "grpc", "rpc.service": "test.Echo", "rpc.grpc.status_code": 0}
        assert {key: found.get(key) for key in old} == (old if older else dict.fromkeys(old))


def test_a_context_of_the_application_is_continued_and_replaced(receiver):
    code = using_apps("""
import grpc
import plain
seen = []
class Spy(grpc.ServerInterceptor):
    def intercept_service(self, continuation, details):
        seen.append([tuple(pair) for pair in details.invocation_metadata if pair[0] in ("traceparent", "tracestate", "x")])
        return continuation(details)
server = grpc.server(plain.futures.ThreadPoolExecutor(1), interceptors=(Spy(),))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", plain.SYNC),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel("localhost:%d" % port)
channel.unary_unary("/test.Echo/UU")(b"a", metadata=(("x", "1"), ("traceparent", "00-" + "a" * 32 + "-" + "b" * 16 + "-01"), ("x", "2"), ("tracestate", "k=v")))
server.stop(None).wait()
print(seen)
""")
    seen = ast.literal_eval(run(code, endpoint=receiver.endpoint).out)
    span = receiver.one("CLIENT", "test.Echo/UU")
    assert (span.trace, span.parent) == ("a" * 32, "b" * 16)
    # the transport puts headers that it knows first
    assert sorted(seen[0]) == [
        ("traceparent", f"00-{span.trace}-{span.id}-01"),
        ("tracestate", "k=v"),
        ("x", "1"),
        ("x", "2"),
    ]
    assert [pair for pair in seen[0] if pair[0] == "x"] == [("x", "1"), ("x", "2")]


def test_an_excluded_service_is_not_told_but_carries_the_context(receiver):
    """Health is excluded by default; what it calls belongs to the caller's trace all the same."""
    code = using_apps("""
import grpc
import plain
server, port = plain.serve_sync()
channel = grpc.insecure_channel("localhost:%d" % port)
def check(request, context):
    return channel.unary_unary("/test.Echo/UU")(b"a")
server2 = grpc.server(plain.futures.ThreadPoolExecutor(1))
server2.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)}),))
port = server2.add_insecure_port("127.0.0.1:0")
server2.start()
parent = (("traceparent", "00-" + "a" * 32 + "-" + "b" * 16 + "-01"),)
grpc.insecure_channel("localhost:%d" % port).unary_unary("/grpc.health.v1.Health/Check")(b"a", metadata=parent)
server.stop(None).wait(); server2.stop(None).wait()
""")
    run(code, endpoint=receiver.endpoint)
    span = receiver.one("CLIENT", "test.Echo/UU")
    assert (span.trace, span.parent) == ("a" * 32, "b" * 16)
    assert {one.name for one in receiver.spans} == {"test.Echo/UU"}


def test_unsampled_calls_are_not_told_and_say_so_downstream(receiver):
    with serving("sync", receiver) as port:
        run(APP, "call", "aio", port, endpoint=receiver.endpoint, OTEL_TRACES_SAMPLER="always_off")
        run(APP, "call", "sync", port, endpoint=receiver.endpoint)
    receiver.wait_for(lambda spans: len(spans) == 2 * len(TRAFFIC))


def test_metrics_count_every_call(receiver):
    run(APP, "both", "sync", endpoint=receiver.endpoint, OTEL_TRACES_SAMPLER="always_off")
    receiver.wait_for(lambda _: receiver.metrics)
    points = {
        (
            metric.name,
            next(pair.value.string_value for pair in point.attributes if pair.key == "rpc.method"),
        ): point.count
        for request in receiver.metrics[-1:]
        for resource in request.resource_metrics
        for scoped in resource.scope_metrics
        for metric in scoped.metrics
        for point in metric.histogram.data_points
    }
    assert points == {
        (f"rpc.{side}.call.duration", f"test.Echo/{kind}"): 1 for side in ("client", "server") for kind in TRAFFIC
    }
    assert receiver.spans == []


def test_a_server_that_ends_a_call_while_the_client_writes_is_told_in_its_own_words(receiver):
    run(Path("refusing.py"), endpoint=receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY="1000")
    spans = receiver.wait_for(lambda spans: spans if len(spans) == 4 * 30 else None)
    told = {(span.name, span.kind, span.attributes["rpc.response.status_code"]) for span in spans}
    assert told == {
        (f"test.Refusing/{method}", kind, "NOT_FOUND") for method in ("Fill", "Track") for kind in ("CLIENT", "SERVER")
    }
