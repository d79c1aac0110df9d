"""What is encoded by hand is read by the official protobuf classes, field by field."""

import contextlib
import struct

import pytest
from _grpctracing import decode, encode, resource
from _grpctracing.call import Eventful
from _grpctracing.config import Limits
from _grpctracing.context import SpanContext
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._internal import _encode_value as official_value
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.bootstrap.core.calls import CLIENT, SERVER, finished, manual

SCALARS = st.one_of(st.text(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(member) for member in value.array_value.values]
    return getattr(value, kind)


def attributes(message):
    return {item.key: plain(item.value) for item in message.attributes}


def decoded(items, resource_attributes=(), environ=()):
    scoped, problems = encode.SpanEncoder(Limits(dict(environ))).batch(items)
    assert not problems
    body = encode.request(encode.resource(dict(resource_attributes).items()), scoped)
    return trace_service_pb2.ExportTraceServiceRequest.FromString(body)


def span_of(item, **environ):
    (batch,) = decoded([item], environ=environ).resource_spans
    (scope,) = batch.scope_spans
    (span,) = scope.spans
    return span


def test_a_server_call_field_by_field():
    call = finished(
        SERVER, "/shop.Payment/Charge", 0, context=SpanContext(0x0102030405060708090A0B0C0D0E0F10, 0x1112131415161718, 3, "a=b"), parent_id=0x2122232425262728,
        target="ipv4:10.0.0.7:50051", sent=2, received=1, bytes_sent=300, bytes_received=70000,
    )  # fmt: skip
    request = decoded([call], {"service.name": "payment", "process.pid": 7})
    (batch,) = request.resource_spans
    assert attributes(batch.resource) == {"service.name": "payment", "process.pid": 7}
    (scope,) = batch.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("grpctracing", resource.__version__)
    (span,) = scope.spans
    assert span.trace_id == bytes(range(1, 17))
    assert span.span_id == bytes(range(0x11, 0x19))
    assert span.parent_span_id == bytes(range(0x21, 0x29))
    assert span.trace_state == "a=b"
    assert (
        span.flags == 3 | trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | trace_pb2.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
    )
    assert (span.name, span.kind) == ("shop.Payment/Charge", trace_pb2.Span.SPAN_KIND_SERVER)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (call.start_ns, call.end_ns)
    assert span.status == trace_pb2.Status()
    found = attributes(span)
    assert found["rpc.system.name"] == found["rpc.system"] == "grpc"
    assert (found["rpc.method"], found["rpc.service"]) == ("shop.Payment/Charge", "shop.Payment")
    assert (found["rpc.response.status_code"], found["rpc.grpc.status_code"]) == ("OK", 0)
    assert (found["network.peer.address"], found["network.peer.port"]) == ("10.0.0.7", 50051)
    assert [
        found["grpctracing." + name] for name in ("messages.sent", "messages.received", "bytes.sent", "bytes.received")
    ] == [2, 1, 300, 70000]
    assert not {"error.type", "grpctracing.keep"} & set(found)
    assert len(found) == len(span.attributes)


def test_a_failed_root_call_of_a_client():
    call = finished(
        CLIENT,
        code=14,
        details="no such host " + "x" * 5000,
        target="dns:///payment:50051",
        sampled=False,
        keep="error",
        context=SpanContext(5, 6, 2),
    )
    span = span_of(call)
    assert span.kind == trace_pb2.Span.SPAN_KIND_CLIENT
    assert span.parent_span_id == b""
    assert span.flags == 2 | trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
    assert span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    assert span.status.message == ("no such host " + "x" * 5000)[:1024]
    found = attributes(span)
    assert (found["rpc.response.status_code"], found["error.type"], found["grpctracing.keep"]) == (
        "UNAVAILABLE",
        "UNAVAILABLE",
        "error",
    )
    assert (found["server.address"], found["server.port"]) == ("payment", 50051)


def test_what_is_not_the_servers_fault_leaves_its_status_unset():
    assert span_of(finished(SERVER, code=5)).status.code == trace_pb2.Status.STATUS_CODE_UNSET
    assert span_of(finished(SERVER, code=13)).status.code == trace_pb2.Status.STATUS_CODE_ERROR


def test_events_of_a_call_arrive():
    event = (1_700_000_000_000_000_000, "exception", {"exception.type": "ValueError", "exception.stacktrace": "…"})
    (found,) = span_of(finished(events=[event])).events
    assert (found.time_unix_nano, found.name, attributes(found)) == event


def test_the_cached_part_of_a_call_never_leaks_into_another():
    calls = [
        finished(kind, f"/a.B/{name}", code, keep=keep)
        for kind in (SERVER, CLIENT)
        for name in "CD"
        for code in (0, 13)
        for keep in (None, "error", "slow")
    ] * 2
    (batch,) = decoded(calls).resource_spans
    for call, span in zip(calls, batch.scope_spans[0].spans, strict=True):
        found = attributes(span)
        assert (span.kind, "/" + found["rpc.method"], found["rpc.grpc.status_code"], found.get("grpctracing.keep")) == (
            call.kind,
            call.method,
            call.code,
            call.keep,
        )


def test_values_that_are_equal_but_of_another_type_stay_what_they_are():
    calls = [finished(metadata=(("x", value),)) for value in (1, True, 1.0, "1", ("1",), 1)]
    (batch,) = decoded(calls).resource_spans
    found = [attributes(span)["x"] for span in batch.scope_spans[0].spans]
    assert [(type(value), value) for value in found] == [
        (int, 1),
        (bool, True),
        (float, 1.0),
        (str, "1"),
        (list, ["1"]),
        (int, 1),
    ]


def test_more_peers_than_the_cache_holds_are_still_told_apart():
    encoder = encode.SpanEncoder(Limits({}))
    for number in range(3 * encode._MAX_CACHED):
        encoder.call(finished(method=f"/a.B/M{number}", bytes_sent=number))
    assert len(encoder._fixed) <= encode._MAX_CACHED
    assert len(encoder._pairs) <= encode._MAX_CACHED


def test_a_manual_span_field_by_field():
    span = manual(
        attributes={"payment.amount": 12.5, "payment.currency": "EUR", "retry": True, "tags": ["a", "b"]}, status_code=2, status_message="declined",
        events=[(1, "checked", {"n": 1}), (2, "bare", None)], links=[(SpanContext(0xAA, 0xBB, 1, "x=y", True), {"why": "batch"}), (SpanContext(0xAC, 0xBD, 0), None)],
    )  # fmt: skip
    (batch,) = decoded([finished(), span]).resource_spans
    ours, theirs = batch.scope_spans
    assert (ours.scope.name, theirs.scope.name, theirs.scope.version) == ("grpctracing", "shop", "1.2")
    (found,) = theirs.spans
    assert (found.name, found.kind) == ("validate_payment", trace_pb2.Span.SPAN_KIND_INTERNAL)
    assert (found.trace_id, found.span_id, found.parent_span_id) == (
        span.context.trace_id.to_bytes(16, "big"), span.context.span_id.to_bytes(8, "big"), (7).to_bytes(8, "big"),
    )  # fmt: skip
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (span.start_ns, span.end_ns)
    assert found.flags == 3 | trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
    assert attributes(found) == span.attributes
    assert (found.status.code, found.status.message) == (trace_pb2.Status.STATUS_CODE_ERROR, "declined")
    assert [(event.time_unix_nano, event.name, attributes(event)) for event in found.events] == [
        (1, "checked", {"n": 1}),
        (2, "bare", {}),
    ]
    first, second = found.links
    assert (first.trace_id[-1], first.span_id[-1], first.trace_state, attributes(first)) == (
        0xAA,
        0xBB,
        "x=y",
        {"why": "batch"},
    )
    assert (
        first.flags == 1 | trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK | trace_pb2.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
    )
    assert (second.trace_state, second.flags, attributes(second)) == (
        "",
        trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK,
        {},
    )


def test_a_span_that_cannot_be_encoded_is_reported_and_the_others_are_sent():
    scoped, problems = encode.SpanEncoder(Limits({})).batch([finished(), manual(start_ns=None), finished()])
    assert len(problems) == 1
    body = encode.request(b"", scoped)
    assert len(trace_service_pb2.ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans) == 2


@settings(max_examples=2000, deadline=None)
@given(VALUES)
def test_attribute_values_are_encoded_as_the_official_exporter_encodes_them(value):
    assert (
        common_pb2.AnyValue.FromString(encode.any_value(value)).SerializeToString()
        == official_value(value).SerializeToString()
    )


class Odd:
    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "None"), (2**63, str(2**63)), (-(2**63) - 1, str(-(2**63) - 1)), (1j, "1j"), ("\ud800x", "?x")],
)
def test_values_without_a_place_in_otlp_become_text(value, expected):
    assert common_pb2.AnyValue.FromString(encode.any_value(value)).string_value == expected


def test_an_object_that_cannot_be_written_costs_only_its_own_attribute():
    endless = []
    endless.append(endless)
    found = span_of(manual(attributes={"bad": Odd(), "endless": endless, "good": 1}))
    assert "bad" not in attributes(found)
    assert attributes(found)["good"] == 1


@settings(max_examples=2000, deadline=None)
@given(
    st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 255), st.text(max_size=10),
    st.integers(0, 2**63), st.integers(0, 2**40), st.text(max_size=300), st.dictionaries(st.text(), VALUES, max_size=4),
)  # fmt: skip
def test_any_span_survives_the_round_trip(trace_id, span_id, parent_id, flags, state, start, duration, name, attrs):
    span = span_of(
        manual(
            context=SpanContext(trace_id, span_id, flags, state),
            parent_id=parent_id,
            start_ns=start,
            end_ns=start + duration,
            name=name,
            attributes=attrs,
        )
    )
    assert int.from_bytes(span.trace_id, "big") == trace_id
    assert int.from_bytes(span.span_id, "big") == span_id
    assert int.from_bytes(span.parent_span_id, "big") == parent_id
    assert (span.flags & 0xFF, span.trace_state, span.name) == (flags, state, name)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (start, start + duration)
    assert [item.key for item in span.attributes] == list(attrs)


@settings(max_examples=2000, deadline=None)
@given(st.integers(0, 2**63 - 1), st.text())
def test_the_partial_success_of_an_answer_is_read(rejected, message):
    response = trace_service_pb2.ExportTraceServiceResponse()
    response.partial_success.rejected_spans, response.partial_success.error_message = rejected, message
    assert decode.partial_success(response.SerializeToString()) == (rejected, message)


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.integers(0, 2**64 - 1).map(lambda number: struct.pack("<Q", number))))
def test_garbage_is_a_value_error_at_worst(body):
    try:
        decode.partial_success(body)
    except ValueError:
        return
    with contextlib.suppress(DecodeError):  # we look at two fields only, protobuf at all of them
        trace_service_pb2.ExportTraceServiceResponse.FromString(body)


def noted(number):
    call = Eventful(SERVER, "/a.B/C", "", SpanContext(5, 7, 3), 0, True)
    for index in range(number):
        call.note("SENT", index + 1, 10)
    call.stop(0, "")
    return call


def test_message_events_are_those_of_the_conventions_and_within_the_call():
    span = span_of(noted(2))
    assert [(event.name, attributes(event)) for event in span.events] == [
        ("rpc.message", {"rpc.message.type": "SENT", "rpc.message.id": number, "rpc.message.uncompressed_size": 10})
        for number in (1, 2)
    ]
    assert all(span.start_time_unix_nano <= event.time_unix_nano <= span.end_time_unix_nano for event in span.events)
    assert span.dropped_events_count == 0


def test_events_beyond_the_bound_are_counted():
    span = span_of(noted(300))
    assert (len(span.events), span.dropped_events_count) == (128, 172)


@pytest.mark.parametrize("limit", [0, 3, 9, 12, 100])
@pytest.mark.parametrize("number", [0, 40])
def test_a_call_has_as_many_attributes_as_allowed_and_counts_the_rest(limit, number):
    extra = {f"k{index}": index for index in range(number)}
    everything = attributes(span_of(finished(attributes=extra)))
    span = span_of(finished(attributes=extra), OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=str(limit))
    assert attributes(span) == dict(list(everything.items())[:limit])
    assert span.dropped_attributes_count == max(0, len(everything) - limit)


def test_text_values_are_cut_to_the_limit_and_nothing_else_is():
    values = {"text": "äbcdef", "list": ["abcdef", "x"], "number": 123456, "bytes": b"abcdef"}
    cut = {**values, "text": "äbc", "list": ["abc", "x"]}
    event = [(1, "abcdef", values)]
    span = span_of(
        manual(attributes=values, events=event, links=[(SpanContext(1, 2, 1), values)]),
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="3",
    )
    assert attributes(span) == attributes(span.events[0]) == attributes(span.links[0]) == cut
    assert (span.name, span.events[0].name) == ("validate_payment", "abcdef")
    call = span_of(finished(attributes=values), OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT="3")
    assert cut.items() <= attributes(call).items()
    assert (call.name, attributes(call)["rpc.method"]) == ("shop.Payment/Charge", "sho")


def test_attributes_of_events_and_links_have_bounds_of_their_own():
    values = {f"k{index}": index for index in range(10)}
    item = manual(attributes=values, events=[(1, "e", values)], links=[(SpanContext(1, 2, 1), values)])
    span = span_of(item, OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT="2", OTEL_LINK_ATTRIBUTE_COUNT_LIMIT="4")
    (event,), (link,) = span.events, span.links
    assert [len(found.attributes) for found in (span, event, link)] == [10, 2, 4]
    assert [found.dropped_attributes_count for found in (span, event, link)] == [0, 8, 6]


def test_what_a_manual_span_dropped_is_told():
    span = span_of(manual(dropped_attributes=1, dropped_events=2, dropped_links=300))
    assert (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count) == (1, 2, 300)
