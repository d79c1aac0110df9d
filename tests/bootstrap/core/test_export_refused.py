"""Collectors that refuse, want less, or take part of it: what is sent again, and what is given up."""

import time

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from tests.bootstrap.core.calls import eventually, finished, manual
from tests.bootstrap.core.receivers import GrpcReceiver, HttpReceiver


def refuse(code):
    return lambda context: context.abort(code, "go away")


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED]
)
def test_grpc_a_refused_request_is_sent_again_and_nothing_is_lost(make_pipeline, code):
    with GrpcReceiver() as collector:
        collector.answers += [refuse(code)]
        pipeline = make_pipeline(collector.environ())
        pipeline.finish(finished())
        collector.received.wait_for_spans(1)
        eventually(lambda: pipeline.counters["spans_exported"] == 1)
        assert pipeline.counters["export_failures"] == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_http_a_refused_request_is_sent_again_and_nothing_is_lost(make_pipeline, status):
    with HttpReceiver() as collector:
        collector.answers += [(status, {})]
        pipeline = make_pipeline(collector.environ())
        pipeline.finish(finished())
        collector.received.wait_for_spans(1)


def test_http_retry_after_is_obeyed(make_pipeline):
    with HttpReceiver() as collector:
        collector.answers += [(503, {"Retry-After": "2"})]
        pipeline = make_pipeline(collector.environ())
        pipeline.finish(finished())
        collector.received.wait(lambda: collector.received.requests == 1)
        refused = time.monotonic()
        collector.received.wait_for_spans(1)
        assert time.monotonic() - refused >= 1.9


def test_grpc_retry_info_is_obeyed(make_pipeline):
    def later(context):
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1, nanos=900_000_000)))
        status = status_pb2.Status(code=8, message="later", details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "later")

    with GrpcReceiver() as collector:
        collector.answers += [later]
        pipeline = make_pipeline(collector.environ())
        pipeline.finish(finished())
        collector.received.wait(lambda: collector.received.requests == 1)
        refused = time.monotonic()
        collector.received.wait_for_spans(1)
        assert time.monotonic() - refused >= 1.8


@pytest.mark.parametrize(
    ("receiver", "answer"),
    [
        (GrpcReceiver, refuse(grpc.StatusCode.INVALID_ARGUMENT)),
        (GrpcReceiver, refuse(grpc.StatusCode.UNAUTHENTICATED)),
        (HttpReceiver, (400, {})),
        (HttpReceiver, (404, {})),
    ],
)
def test_what_will_never_be_taken_is_dropped_counted_and_the_next_is_tried(make_pipeline, receiver, answer):
    with receiver() as collector:
        collector.answers += [answer]
        pipeline = make_pipeline(collector.environ())
        pipeline.finish(finished())
        eventually(lambda: pipeline.counters["spans_lost"] == 1)
        pipeline.finish(finished())
        collector.received.wait_for_spans(1)
        eventually(lambda: pipeline.counters["spans_exported"] == 1)


def test_what_a_collector_would_find_too_large_is_sent_in_parts(make_pipeline):
    with GrpcReceiver() as collector:
        pipeline = make_pipeline({**collector.environ(), "OTEL_BSP_SCHEDULE_DELAY": "300"})
        pipeline.departed().asleep = False  # all in one batch
        for _ in range(9):
            pipeline.finish_span(manual(attributes={"prompt": "x" * (1 << 20)}))
        pipeline.departed().wake()
        assert len(collector.received.wait_for_spans(9)) == 9
        assert pipeline.counters["spans_lost"] == 0


def test_a_span_that_is_too_large_by_itself_is_lost_at_once_and_holds_nobody_up(make_pipeline):
    with GrpcReceiver() as collector:
        pipeline = make_pipeline(collector.environ())
        pipeline.finish_span(manual(attributes={"prompt": "x" * (5 << 20)}))
        pipeline.finish_span(manual(name="next"))
        assert [span.name for span in collector.received.wait_for_spans(1)] == ["next"]
        eventually(lambda: pipeline.counters["spans_lost"] == 1)


def test_partial_success_is_counted(make_pipeline):
    with GrpcReceiver() as collector:
        collector.partial = (2, "too old")
        pipeline = make_pipeline({**collector.environ(), "OTEL_BSP_SCHEDULE_DELAY": "300"})
        pipeline.departed().asleep = False  # all three in one batch
        for _ in range(3):
            pipeline.finish(finished())
        pipeline.departed().wake()
        eventually(lambda: pipeline.counters["spans_rejected"] == 2)
        assert pipeline.counters["spans_exported"] == 1
