"""The sampler's decisions are those of opentelemetry-sdk."""

import math
import os
from unittest import mock

import pytest
from _grpctracing import sampling
from _grpctracing.context import SpanContext
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import sampling as official

TRACE_IDS = st.integers(1, (1 << 128) - 1)
RATIOS = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, 0.1, 0.01, 2**-64, 1 - 2**-53, 5e-324]))
NAMES = st.sampled_from(sampling.NAMES)
PARENTS = st.one_of(st.none(), st.tuples(st.integers(0, 255), st.booleans()))


def ask_official(name, argument, trace_id, parent):
    with mock.patch.dict(os.environ, {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}):
        sampler = official._get_from_env_or_default()
    context = None
    if parent is not None:
        flags, remote = parent
        span = trace.NonRecordingSpan(trace.SpanContext(trace_id, 1, remote, trace.TraceFlags(flags)))
        context = trace.set_span_in_context(span)
    return sampler.should_sample(context, trace_id, "name").decision.is_sampled()


@settings(max_examples=2000, deadline=None)
@given(NAMES, RATIOS, TRACE_IDS, PARENTS)
def test_every_sampler_decides_as_the_official_one(name, ratio, trace_id, parent):
    sampler, problem = sampling.parse(name, repr(ratio))
    assert not problem
    ours = sampler.decide(trace_id, None if parent is None else SpanContext(trace_id, 1, parent[0], "", parent[1]))
    assert ours == ask_official(name, repr(ratio), trace_id, parent)


@settings(max_examples=2000, deadline=None)
@given(RATIOS, st.integers(-2, 2))
def test_ratio_decides_alike_at_its_very_bound(ratio, offset):
    bound = official.TraceIdRatioBased.get_bound_for_rate(ratio)
    low = min(max(bound + offset, 1), (1 << 64) - 1)
    assert sampling.ratio_bound(repr(ratio)) == bound
    assert sampling.parse("traceidratio", repr(ratio))[0].decide(1 << 64 | low, None) == ask_official(
        "traceidratio", repr(ratio), 1 << 64 | low, None
    )


@settings(max_examples=2000, deadline=None)
@given(NAMES, RATIOS, PARENTS, st.data())
def test_the_pipeline_starts_spans_as_its_sampler_decides(name, ratio, parent, data):
    from _grpctracing import ids
    from _grpctracing.pipeline import Pipeline

    trace_id = data.draw(TRACE_IDS)
    pipeline = Pipeline({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": repr(ratio)})
    above = None if parent is None else SpanContext(trace_id, 17, parent[0], "a=b", parent[1])
    with mock.patch.object(ids, "bits", lambda width: trace_id if width == 128 else 23):
        context, parent_id, sampled = pipeline.start(2, "/a.B/C", above)
    assert sampled == ask_official(name, repr(ratio), trace_id, parent)
    assert (context.trace_id, context.span_id, context.flags & 1, context.remote) == (trace_id, 23, sampled, False)
    assert (parent_id, context.trace_state) == ((0, "") if above is None else (17, "a=b"))
    # the random flag: ours for a root, the parent's otherwise (as the official SDK)
    assert context.flags & ~1 == (2 if above is None else parent[0] & 2)


@pytest.mark.parametrize(
    ("name", "argument", "bound", "complaint"),
    [
        ("TraceIdRatio ", "0.5", 1 << 63, ""),
        ("", "", 1 << 64, ""),
        ("jaeger_remote", "x", 1 << 64, "jaeger_remote"),
        ("parentbased_traceidratio", "", 1 << 64, ""),
        ("parentbased_traceidratio", "1.5", 1 << 64, "1.5"),
        ("traceidratio", "-0.1", 1 << 64, "-0.1"),
        ("traceidratio", "nan", 1 << 64, "nan"),
        ("traceidratio", "ten", 1 << 64, "ten"),
        ("always_off", "ten", 0, ""),
    ],
)
def test_what_is_malformed_is_named_and_replaced(name, argument, bound, complaint):
    sampler, problem = sampling.parse(name, argument)
    assert sampler.bound == bound
    assert complaint in problem
    assert bool(complaint) == bool(problem)


def test_a_ratio_of_a_tenth_keeps_a_tenth():
    from _grpctracing.pipeline import Pipeline

    pipeline = Pipeline({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"})
    kept = sum(pipeline.start(3, "/a.B/C", None)[2] for _ in range(20000))
    assert math.isclose(kept, 2000, rel_tol=0.15)
