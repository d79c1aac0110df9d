"""From a finished call to what a Collector has: both transports, and Collectors that are away or slow."""

import http.client
import socket
import threading
import time

import pytest

from tests.bootstrap.core.calls import CLIENT, SERVER, eventually, finished, manual, started
from tests.bootstrap.core.receivers import GrpcReceiver, HttpReceiver, all_metrics, free_port
from tests.bootstrap.core.test_encode import attributes

RECEIVERS = pytest.mark.parametrize("receiver", [GrpcReceiver, HttpReceiver], ids=["grpc", "http"])


@RECEIVERS
def test_calls_and_manual_spans_arrive_with_their_resource(make_pipeline, receiver):
    with receiver() as collector:
        pipeline = make_pipeline({
            **collector.environ(), "OTEL_SERVICE_NAME": "payment", "GRPCTRACING_RESOURCE_ATTRIBUTES": "k8s.pod.name=payment-1", "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20b",
        })  # fmt: skip
        call = started(pipeline, SERVER)
        pipeline.finish(call)
        pipeline.finish_span(manual(context=call.context))
        first, second = collector.received.wait_for_spans(2)
        assert (first.name, second.name) == ("shop.Payment/Charge", "validate_payment")
        assert first.trace_id == call.context.trace_id.to_bytes(16, "big")
        found = attributes(collector.received.traces[0].resource_spans[0].resource)
        assert (found["service.name"], found["k8s.pod.name"]) == ("payment", "payment-1")
        assert collector.received.headers[0]["x-tenant"] == "a b"
        eventually(lambda: pipeline.counters["spans_exported"] == 2)


@RECEIVERS
def test_a_full_batch_leaves_at_once_and_none_is_larger(make_pipeline, receiver):
    with receiver() as collector:
        pipeline = make_pipeline(
            {**collector.environ(), "OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"}
        )
        for _ in range(250):
            pipeline.finish(finished())
        collector.received.wait_for_spans(200)
        assert max(len(request.resource_spans[0].scope_spans[0].spans) for request in collector.received.traces) == 100
        pipeline.flush()
        collector.received.wait_for_spans(250)


@pytest.mark.parametrize(("in_a_hurry", "pauses"), [(False, 6), (True, 0)])
def test_while_a_batch_is_encoded_the_application_gets_its_turn_unless_it_waits_for_the_end(
    make_pipeline, in_a_hurry, pauses
):
    """Else its threads wait for the interpreter until the whole batch is done, which every hundredth call would notice."""
    with GrpcReceiver() as collector:
        pipeline = make_pipeline(
            {**collector.environ(), "OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"}
        )
        exporter = pipeline.departed()
        rested = []
        rest, exporter._rest = exporter._rest, lambda: rested.append(rest())
        for _ in range(99 if in_a_hurry else 100):
            pipeline.finish(finished())
        if in_a_hurry:
            pipeline.flush()
        collector.received.wait_for_spans(99)
        assert len(rested) == pauses


@RECEIVERS
def test_one_connection_serves_all_requests(make_pipeline, receiver):
    with receiver() as collector:
        pipeline = make_pipeline({**collector.environ(), "OTEL_METRICS_EXPORTER": "otlp"})
        for number in range(5):
            pipeline.finish(finished())
            pipeline.flush()
            collector.received.wait_for_spans(number + 1)
        if receiver is HttpReceiver:
            assert len(collector.connections) == 1


@RECEIVERS
def test_gzip_is_understood(make_pipeline, receiver):
    with receiver() as collector:
        pipeline = make_pipeline({**collector.environ(), "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"})
        pipeline.finish(finished())
        collector.received.wait_for_spans(1)


def test_unsampled_calls_are_counted_but_not_exported_unless_kept(make_pipeline):
    with GrpcReceiver() as collector:
        pipeline = make_pipeline(
            {**collector.environ(), "OTEL_TRACES_SAMPLER": "always_off", "OTEL_METRICS_EXPORTER": "otlp"}
        )
        for code, seconds in ((0, 0.02), (14, 0.02), (0, 3.0), (5, 0.02)):
            pipeline.finish(started(pipeline, SERVER, code=code, seconds=seconds))
        pipeline.flush()
        found = [
            (attributes(span)["grpctracing.keep"], span.flags & 1) for span in collector.received.wait_for_spans(2)
        ]
        assert found == [("error", 0), ("slow", 0)]
        (request,) = collector.received.metrics
        points = all_metrics(request)["rpc.server.call.duration"].histogram.data_points
        assert {attributes(point)["rpc.response.status_code"]: point.count for point in points} == {
            "OK": 2,
            "UNAVAILABLE": 1,
            "NOT_FOUND": 1,
        }


@RECEIVERS
def test_metrics_are_sent_each_interval_and_share_the_resource(make_pipeline, receiver):
    with receiver() as collector:
        pipeline = make_pipeline(
            {
                **collector.environ(),
                "OTEL_METRICS_EXPORTER": "otlp",
                "OTEL_METRIC_EXPORT_INTERVAL": "200",
                "OTEL_SERVICE_NAME": "payment",
            }
        )
        pipeline.finish(finished(CLIENT, target="payment:50051"))
        collector.received.wait(lambda: len(collector.received.metrics) >= 3)
        assert attributes(collector.received.metrics[0].resource_metrics[0].resource)["service.name"] == "payment"
        (point,) = all_metrics(collector.received.metrics[-1])["rpc.client.call.duration"].histogram.data_points
        assert point.count == 1
        assert (attributes(point)["server.address"], attributes(point)["server.port"]) == ("payment", 50051)


@pytest.mark.parametrize(
    ("preference", "delta"),
    [("", False), ("cumulative", False), ("delta", True), ("LowMemory", True), ("weekly", False)],
)
def test_temporality_is_as_preferred(make_pipeline, preference, delta):
    with GrpcReceiver() as collector:
        environ = {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": preference}
        pipeline = make_pipeline({**collector.environ(), **environ})
        pipeline.error(RuntimeError("counted"), "test")
        for _ in range(2):
            pipeline.finish(finished(CLIENT))
            pipeline.finish(finished())
            pipeline.flush(8.0)
        first, second = map(all_metrics, collector.received.metrics)
    for name in ("rpc.client.call.duration", "rpc.server.call.duration"):
        assert second[name].histogram.aggregation_temporality == (1 if delta else 2)
        assert [found[name].histogram.data_points[0].count for found in (first, second)] == (
            [1, 1] if delta else [1, 2]
        )
    errors = [
        found["grpctracing.internal.errors"].sum.data_points[0].as_int
        for found in (first, second)
        if "grpctracing.internal.errors" in found
    ]
    assert errors == ([1] if delta else [1, 1])


def test_while_the_collector_is_away_the_queue_is_bounded_drops_are_counted_and_it_is_found_again(make_pipeline):
    port = free_port()
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_BSP_MAX_QUEUE_SIZE": "50",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
    }
    pipeline = make_pipeline(environ)
    pipeline.finish(finished())
    eventually(lambda: pipeline.counters["export_failures"] == 1)
    for _ in range(200):
        pipeline.finish(finished())
    seen = pipeline.counters
    assert (seen["spans_waiting"], seen["spans_dropped"]) == (50, 150)
    with GrpcReceiver(port) as collector:
        collector.received.wait_for_spans(51, within=15)
        eventually(lambda: pipeline.counters["spans_exported"] == 51)


def test_while_the_collector_is_away_the_thread_does_not_spin(make_pipeline):
    pipeline = make_pipeline(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
            "OTEL_BSP_SCHEDULE_DELAY": "0",
            "OTEL_BSP_MAX_QUEUE_SIZE": "20",
        }
    )
    looks = []
    cycle = pipeline.departed()._cycle
    pipeline.departed()._cycle = lambda: (looks.append(1), cycle())
    for _ in range(300):
        pipeline.finish(finished())
        time.sleep(0.002)
    assert len(looks) < 60


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_slow_collector_holds_nobody_up(make_pipeline, protocol):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        pipeline = make_pipeline(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            }
        )
        begun = time.monotonic()
        for _ in range(1000):
            pipeline.finish(finished())
        assert time.monotonic() - begun < 0.5
        begun = time.monotonic()
        pipeline.shutdown(0.5)
        assert time.monotonic() - begun < 0.8
        begun = time.monotonic()
        pipeline.shutdown(0.5)  # a second one has nothing to wait for
        assert time.monotonic() - begun < 0.1


def test_an_idle_kept_connection_that_the_server_closed_costs_no_span(make_pipeline):
    with HttpReceiver() as collector:
        pipeline = make_pipeline(collector.environ())
        pipeline.finish(finished())
        collector.received.wait_for_spans(1)
        eventually(lambda: pipeline.counters["spans_exported"] == 1)
        pipeline.departed().spans.transport._connection.sock.shutdown(socket.SHUT_RDWR)
        pipeline.finish(finished())
        collector.received.wait_for_spans(2)
        assert pipeline.counters["export_failures"] == 0


def test_many_threads_lose_nothing(make_pipeline):
    with GrpcReceiver() as collector:
        pipeline = make_pipeline(
            {**collector.environ(), "OTEL_BSP_MAX_QUEUE_SIZE": "100000", "OTEL_METRICS_EXPORTER": "otlp"}
        )

        def work():
            for _ in range(500):
                pipeline.finish(started(pipeline))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spans = collector.received.wait_for_spans(2000)
        assert len({span.span_id for span in spans}) == len(spans) == 2000
        pipeline.shutdown()
        points = all_metrics(collector.received.metrics[-1])["rpc.server.call.duration"].histogram.data_points
        assert sum(point.count for point in points) == 2000


def test_a_fork_does_not_break_off_a_connection_that_is_being_made(make_pipeline, monkeypatch):
    """It would send all the same, and could no longer hear that the request was taken: so that would be sent twice."""
    with HttpReceiver() as collector:
        pipeline = make_pipeline({**collector.environ(), "OTEL_METRICS_EXPORTER": "none"})
        transport = pipeline.departed().spans.transport
        connect = http.client.HTTPConnection.connect

        def interrupted(connection):
            transport.renew()
            connect(connection)

        monkeypatch.setattr(http.client.HTTPConnection, "connect", interrupted)
        pipeline.finish(finished(CLIENT))
        assert pipeline.flush(8.0)
        assert (len(collector.received.spans()), collector.received.requests) == (1, 1)
        assert pipeline.counters["export_failures"] == 0
