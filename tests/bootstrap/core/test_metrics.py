"""The two duration histograms: exact, whoever counts, and as OTLP wants them."""

import threading

import pytest
from _grpctracing import encode, metrics
from _grpctracing.buffer import FOLD_AT, MAX_SERIES, Points
from _grpctracing.metrics import BOUNDS
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

from tests.bootstrap.core.receivers import all_metrics
from tests.bootstrap.core.test_encode import attributes

CUMULATIVE, DELTA = 2, 1


class Meter(metrics.Meter):
    """With the points that it counts."""

    def __init__(self, delta=False):
        points = Points(self.relieve)
        super().__init__(points, delta)
        self.record = lambda kind, method, code, error, ns, target="": points.record(
            kind, (method, code, error, target), ns
        )


def collected(meter, counters=()):
    body = meter.collect(counters)
    return all_metrics(
        metrics_service_pb2.ExportMetricsServiceRequest.FromString(
            encode.request(b"", [(encode.scope("grpctracing"), body)])
        )
    )


@settings(max_examples=2000, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 20)), min_size=1, max_size=30))
def test_each_duration_falls_into_its_bucket(durations):
    nanoseconds = [round(duration * 1e9) for duration in durations]
    meter = Meter()
    for duration in nanoseconds:
        meter.record(2, "/a.B/C", 0, None, duration)
    (point,) = collected(meter)["rpc.server.call.duration"].histogram.data_points
    seconds = [duration / 1e9 for duration in nanoseconds]
    lower = (-1.0, *BOUNDS)
    upper = (*BOUNDS, float("inf"))
    assert list(point.bucket_counts) == [
        sum(low < value <= high for value in seconds) for low, high in zip(lower, upper, strict=True)
    ]
    assert (point.count, point.min, point.max) == (len(seconds), min(seconds), max(seconds))
    assert point.sum == pytest.approx(sum(seconds))
    assert tuple(point.explicit_bounds) == BOUNDS


def test_series_have_the_attributes_of_the_conventions():
    meter = Meter()
    meter.record(2, "/a.B/C", 0, None, 10)
    meter.record(2, "/a.B/C", 13, "ValueError", 10)
    meter.record(3, "/a.B/C", 14, "UNAVAILABLE", 10, b"dns:///shop:443")
    found = collected(meter)
    server, client = found["rpc.server.call.duration"], found["rpc.client.call.duration"]
    assert (server.unit, server.histogram.aggregation_temporality) == ("s", CUMULATIVE)
    common = {"rpc.system.name": "grpc", "rpc.method": "a.B/C"}
    assert [attributes(point) for point in server.histogram.data_points] == [
        {**common, "rpc.response.status_code": "OK"},
        {**common, "rpc.response.status_code": "INTERNAL", "error.type": "ValueError"},
    ]
    (point,) = client.histogram.data_points
    assert attributes(point) == {
        **common,
        "rpc.response.status_code": "UNAVAILABLE",
        "error.type": "UNAVAILABLE",
        "server.address": "shop",
        "server.port": 443,
    }


def test_one_server_under_several_names_is_one_series():
    meter = Meter()
    for target in ("shop:80", "dns:///shop:80", b"shop:80"):
        meter.record(3, "/a.B/C", 0, None, 10, target)
    (point,) = collected(meter)["rpc.client.call.duration"].histogram.data_points
    assert point.count == 3
    assert len(meter.lines()) == 1


def test_cumulative_goes_on_counting_and_delta_starts_again():
    for delta, expected in ((False, [1, 3, 3]), (True, [1, 2, 0])):
        meter, counts, starts, ends = Meter(delta), [], [], []
        for calls in (1, 2, 0):
            for _ in range(calls):
                meter.record(2, "/a.B/C", 0, None, 10)
            metric = collected(meter).get("rpc.server.call.duration")
            points = metric.histogram.data_points if metric else ()
            counts.append(sum(point.count for point in points))
            starts += [point.start_time_unix_nano for point in points]
            ends += [point.time_unix_nano for point in points]
            if metric:
                assert metric.histogram.aggregation_temporality == (DELTA if delta else CUMULATIVE)
        assert counts == expected
        assert starts[1:] == (ends[:-1] if delta else starts[:1] * 2)


def test_series_are_bounded_and_the_rest_is_counted_together():
    meter = Meter()
    for number in range(MAX_SERIES + 50):
        meter.record(2, f"/a.B/M{number}", 0, None, 10)
    points = collected(meter)["rpc.server.call.duration"].histogram.data_points
    assert len(points) == MAX_SERIES + 1
    (overflow,) = [point for point in points if attributes(point) == {"otel.metric.overflow": True}]
    assert overflow.count == 50


def test_no_call_is_lost_or_counted_twice_between_threads():
    meter = Meter()

    def work():
        for _ in range(20000):
            meter.record(3, "/a.B/C", 0, None, 1000)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        meter.fold()
    for thread in threads:
        thread.join()
    (point,) = collected(meter)["rpc.client.call.duration"].histogram.data_points
    assert point.count == 80000


def test_what_waits_to_be_folded_is_bounded_without_an_exporter():
    meter = Meter()
    for _ in range(3 * FOLD_AT):
        meter.record(3, "/a.B/C", 0, None, 1000)
    assert len(meter) <= FOLD_AT


def test_a_signal_handler_that_flushes_gets_on_where_it_interrupted_folding():
    said = []

    class Interrupted(Points):
        def take(self):
            if not said:  # in the middle of folding, in the same thread
                said.append("interrupted")
                meter.fold()
                said.append((meter.lines(), meter.collect()))
            return super().take()

    points = Interrupted(lambda: None)
    meter = metrics.Meter(points)
    points.record(3, ("/a.B/C", 0, None, ""), 1000)
    thread = threading.Thread(target=meter.relieve, daemon=True)
    thread.start()
    thread.join(60)
    assert said == ["interrupted", ([], b"")]
    (point,) = collected(meter)["rpc.client.call.duration"].histogram.data_points
    assert point.count == 1


def test_own_counters_are_monotonic_sums():
    meter = Meter(delta=True)
    first, second = (collected(meter, [("grpctracing.spans.dropped", "{span}", "…", value)]) for value in (5, 7))
    for found, value in ((first, 5), (second, 2)):
        total = found["grpctracing.spans.dropped"].sum
        assert (total.data_points[0].as_int, total.is_monotonic, total.aggregation_temporality) == (value, True, DELTA)


def test_nothing_to_say_is_nothing():
    assert Meter().collect([("grpctracing.spans.dropped", "{span}", "…", 0)]) == b""
    assert not Meter().used
