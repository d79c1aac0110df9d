from examples.demo.jaeger import traces_of
from tests.unit.demo.builders import START, jaeger_answer, jaeger_span


def only_trace(*spans):
    return traces_of(jaeger_answer(*spans, p1="payment-service"))[0]


def test_a_span_tells_service_parent_and_times_in_seconds():
    (root, child) = only_trace(jaeger_span("a", lasts=5000), jaeger_span("b", "a", at=1000, lasts=2000))
    assert (root.service, root.parent_id, child.parent_id) == ("payment-service", "", "a")
    assert (child.start, child.duration) == (START / 1e6 + 0.001, 0.002)


def test_spans_come_in_order_of_their_start_whatever_order_jaeger_answers_in():
    assert [span.span_id for span in only_trace(jaeger_span("late", at=9), jaeger_span("early"))] == ["early", "late"]


def test_kind_and_status_come_from_tags_and_a_span_without_them_is_internal():
    (call,) = only_trace(
        jaeger_span("a", span__kind="server", rpc__response__status_code="UNAVAILABLE", otel__status_code="ERROR")
    )
    (manual,) = only_trace(jaeger_span("a"))
    assert (call.kind, call.status, call.failed) == ("server", "UNAVAILABLE", True)
    assert (manual.kind, manual.status, manual.failed) == ("internal", "", False)


def test_resource_attributes_are_those_of_the_process():
    assert only_trace(jaeger_span("a"))[0].resource == {"k8s.pod.name": "payment-service-0"}


def test_a_link_is_no_parent():
    span = jaeger_span("a")
    span["references"] = [{"refType": "FOLLOWS_FROM", "traceID": "t1", "spanID": "x"}]
    assert only_trace(span)[0].parent_id == ""
