"""What an application, or who calls it, may make as many or as long as it likes takes a bounded place with us."""

from _grpctracing import bridge, join, metadata, propagation
from _grpctracing.call import MAX_DETAILS, Calls
from opentelemetry import trace

from tests.bootstrap.core.calls import finished


def test_the_text_of_an_error_waits_in_the_queue_as_short_as_it_will_be_sent():
    assert len(finished(code=13, details="x" * 1_000_000).details) == MAX_DETAILS


def test_what_is_remembered_of_tracestate():
    for number in range(1000):
        propagation.parse_tracestate(f"a={number}")
        assert propagation.parse_tracestate(f"a={number}," * 4000) == ""  # longer than any that is read
    assert len(propagation._states) <= 256
    assert max(map(len, propagation._states)) <= propagation._MAX_HEADER


def test_tracers_with_a_name_for_each_call(make_pipeline):
    made = bridge.Bridge(trace, make_pipeline(), lambda: (None, ""))
    try:
        for number in range(5000):
            made._tracer_of(trace.ProxyTracer(f"name {number}"))
    finally:
        made.withdraw()
    assert len(made._tracers) <= bridge._MAX_TRACERS


def test_methods_that_are_called(make_pipeline):
    pipeline = make_pipeline({"OTEL_TRACES_EXPORTER": "none"})
    outgoing = metadata.Outgoing(Calls(pipeline, join.Join(pipeline, None)))
    for number in range(5000):
        record, _ = outgoing.begin(b"/a.B/%d" % number, None, str, "target")
        assert record.method == f"/a.B/{number}"
    assert len(outgoing._methods) <= metadata._MAX_METHODS
    assert len(pipeline.exclusions) <= metadata._MAX_METHODS


def test_baggage_has_the_room_that_the_applications_metadata_leaves():
    members = ",".join(f"k{number}={'v' * 90}" for number in range(60))
    assert metadata._fitting(members, None) == members
    for own in (1000, 5000, 7000, 20000):
        given = (("own", "x" * own), ("odd", 5), None)
        kept = metadata._fitting(members, given)
        assert members.startswith(kept)
        assert kept == "" or own + len(kept) <= metadata._ROOM
        assert all(len(member) >= 93 for member in kept.split(",") if kept)
    assert metadata._fitting("a=" + "x" * 20000, ()) == ""
