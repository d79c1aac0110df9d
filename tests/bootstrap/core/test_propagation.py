"""What is read from and written to metadata is what the official propagators read and write."""

import pytest
from _grpctracing.context import SpanContext
from _grpctracing.propagation import Propagation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

OFFICIAL = {"tracecontext": TraceContextTextMapPropagator, "b3": B3SingleFormat, "b3multi": B3MultiFormat}
HEX = "0123456789abcdef"
LOOSE = st.text("0123456789abcdefABCDEF-+_ \tgz,=;%", max_size=60)


def hexadecimal(*lengths):
    return st.one_of(
        *(st.text(HEX, min_size=size, max_size=size) for size in lengths),
        st.sampled_from(["0" * size for size in lengths]),
    )


def near(strategy):
    """Values of *strategy*, some of them with one character changed, added or taken away."""

    def damage(parts):
        text, at, character, how = parts
        at %= len(text) + 1
        return text[:at] + character + text[at + how :]

    return st.one_of(
        strategy,
        st.tuples(strategy, st.integers(0, 200), st.sampled_from("0aAgZ-+_ \t=,"), st.integers(0, 1)).map(damage),
    )


TRACEPARENTS = near(
    st.tuples(st.sampled_from(["00", "01", "cc", "ff", "0A"]), hexadecimal(32), hexadecimal(16), hexadecimal(2)).map(
        "-".join
    )
)
KEYS = st.one_of(
    st.text("abz019_-*/@", min_size=1, max_size=8),
    st.sampled_from(["a" * 256, "a" * 257, "t" * 241 + "@" + "v" * 14, "1@v"]),
)
VALUES = st.text("".join(map(chr, range(0x20, 0x7F))), max_size=8)
MEMBERS = st.one_of(st.tuples(KEYS, VALUES).map("=".join), st.sampled_from(["", " ", "novalue", "k= v", "k=v=w"]))
TRACESTATES = st.one_of(
    st.lists(MEMBERS, max_size=5).map(",".join),
    st.lists(st.tuples(st.text("abcd", min_size=1, max_size=3), st.just("1")).map("=".join), max_size=6).map(
        " ,\t".join
    ),
    st.integers(30, 35).map(lambda size: ",".join(f"k{number}=v" for number in range(size))),
    st.integers(8188, 8196).map(lambda size: "k=" + "v" * (size - 2)),
)


def official_context(names, headers):
    context = Context()
    for name in names:
        context = OFFICIAL[name]().extract(headers, context)
    found = trace.get_current_span(context).get_span_context()
    return (
        (found.trace_id, found.span_id, int(found.trace_flags), found.trace_state.to_header())
        if found.is_valid
        else None
    )


def our_context(names, headers):
    found, _ = Propagation(names).extract(headers.items())
    if found is None:
        return None
    assert found.remote
    return found.trace_id, found.span_id, found.flags, found.trace_state


@settings(max_examples=2000, deadline=None)
@given(st.one_of(TRACEPARENTS, LOOSE), st.one_of(st.none(), TRACESTATES))
@example("00-" + "1" * 32 + "-" + "2" * 16 + "-01", "b3=1,b3=2")
@example(" 00-" + "1" * 32 + "-" + "2" * 16 + "-01\t", "")
@example("01-" + "1" * 32 + "-" + "2" * 16 + "-01-more", "a=b")
@example("01-" + "1" * 32 + "-" + "2" * 16 + "-01" + " " * 600, "a=b")
def test_w3c_context_is_read_as_the_official_propagator_reads_it(traceparent, tracestate):
    headers = {"traceparent": traceparent}
    if tracestate is not None:
        headers["tracestate"] = tracestate
    assert our_context(["tracecontext"], headers) == official_context(["tracecontext"], headers)


B3_IDS = st.one_of(near(hexadecimal(16, 32)), st.none())
B3_SAMPLED = st.one_of(st.sampled_from(["0", "1", "d", "true", "True", "false", ""]), st.none())
B3_SINGLE = st.one_of(
    st.lists(st.one_of(hexadecimal(16, 32, 1), st.sampled_from(["0", "1", "d"])), max_size=6).map("-".join),
    near(
        st.tuples(hexadecimal(32, 16), hexadecimal(16), st.sampled_from(["0", "1", "d", "x"]), hexadecimal(16)).map(
            "-".join
        )
    ),
)


@settings(max_examples=2000, deadline=None)
@given(
    st.sampled_from(["b3", "b3multi"]),
    st.fixed_dictionaries({
        "b3": st.one_of(st.none(), B3_SINGLE), "x-b3-traceid": B3_IDS, "x-b3-spanid": B3_IDS, "x-b3-sampled": B3_SAMPLED, "x-b3-flags": B3_SAMPLED,
    }),
)  # fmt: skip
def test_b3_is_read_as_the_official_propagators_read_it(name, headers):
    headers = {key: value for key, value in headers.items() if value is not None}
    assert our_context([name], headers) == official_context([name], headers)


@settings(max_examples=2000, deadline=None)
@given(TRACEPARENTS, B3_SINGLE, st.permutations(["tracecontext", "b3", "b3multi"]))
def test_of_several_contexts_the_last_named_propagator_wins(traceparent, single, names):
    headers = {"traceparent": traceparent, "b3": single}
    expected = None
    for name in names:
        expected = official_context([name], headers) or expected
    assert our_context(names, headers) == expected


@settings(max_examples=2000, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(OFFICIAL)), min_size=1, max_size=3, unique=True),
    st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1), st.integers(0, 3), st.sampled_from(["", "a=b", "a=b,c@d=e"]),
)  # fmt: skip
def test_context_is_written_as_the_official_propagators_write_it(names, trace_id, span_id, flags, state):
    theirs = {}
    official = trace.SpanContext(
        trace_id, span_id, False, trace.TraceFlags(flags), trace.TraceState.from_header([state])
    )
    for name in names:
        OFFICIAL[name]().inject(theirs, trace.set_span_in_context(trace.NonRecordingSpan(official)))
    propagation = Propagation(names)
    ours = propagation.inject(SpanContext(trace_id, span_id, flags, state), "")
    assert sorted(ours) == sorted(theirs.items())
    assert set(theirs) <= propagation.header_names


BAGGAGE = st.one_of(
    st.lists(st.one_of(st.tuples(KEYS, VALUES).map("=".join), LOOSE), max_size=5).map(",".join),
    st.dictionaries(st.text("abcäé", min_size=1, max_size=3), st.text("xyz %é;,=", max_size=4), max_size=4).map(
        lambda items: ",".join(f"{baggage_quote(key)}={baggage_quote(value)}" for key, value in items.items())
    ),
    st.integers(178, 183).map(lambda size: ",".join(f"k{number}=v" for number in range(size))),
    st.integers(8188, 8196).map(lambda size: "k=" + "v" * 4000 + ",l=" + "v" * (size - 4005)),
)


def baggage_quote(text):
    from urllib.parse import quote_plus

    return quote_plus(text)


@settings(max_examples=2000, deadline=None)
@given(BAGGAGE)
def test_baggage_means_the_same_after_us_as_before(header):
    def entries(text):
        return dict(baggage.get_all(W3CBaggagePropagator().extract({"baggage": text} if text else {}, Context())))

    propagation = Propagation(["baggage"])
    context, carried = propagation.extract([("baggage", header)])
    assert context is None
    assert entries(dict(propagation.inject(None, carried)).get("baggage", "")) == entries(header)


def test_repeated_headers_are_continued_where_they_are_lists_and_counted_once_where_not():
    first, second = (f"00-{number:032x}-{number:016x}-01" for number in (1, 2))
    pairs = [
        ("traceparent", first),
        ("tracestate", "a=1"),
        ("baggage", "x=1"),
        ("traceparent", second),
        ("tracestate", "b=2"),
        ("baggage", "y=2"),
    ]
    context, carried = Propagation().extract(pairs)
    assert (context.trace_id, context.trace_state, carried) == (1, "a=1,b=2", "x=1,y=2")


def test_none_reads_and_writes_nothing(make_pipeline):
    pipeline = make_pipeline({"OTEL_PROPAGATORS": "none"})
    assert pipeline.extract([("traceparent", f"00-{1:032x}-{1:016x}-01"), ("baggage", "a=b")]) == (None, "")
    assert pipeline.inject(SpanContext(1, 1, 1), "a=b") == []
    assert pipeline.header_names == frozenset()


@pytest.mark.parametrize("metadata", [None, (), [("traceparent", b"bytes")], [("other", "x"), ("key-bin", b"\x00")]])
def test_metadata_without_context_gives_none(metadata):
    assert Propagation().extract(metadata) == (None, "")
