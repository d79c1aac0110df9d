"""Rules per method in settings.json: which rule counts, and what is decided, exported and handed on."""

import json

import pytest
from _grpctracing import sampling, settings
from _grpctracing.config import Config
from _grpctracing.context import SpanContext
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from tests.bootstrap.core.calls import CLIENT, SERVER, started
from tests.bootstrap.core.receivers import GrpcReceiver, all_metrics
from tests.bootstrap.core.test_settings import write

SAMPLED, UNSAMPLED = SpanContext(5 << 64 | 7, 9, 1, "k=v", True), SpanContext(5 << 64 | 7, 9, 0, "k=v", True)
RULES = [
    {"service": "shop.Stock", "method": "Poll", "drop": True},
    {"service": "shop.Stock", "method": "Get*", "ratio": 0},
    {"service": "shop.Stock", "ratio": "1"},
    {"service": "shop.*", "ratio": 0.5},
    {"method": "Watch", "drop": True},
]


def parsed(rules, **environ):
    return settings.parse(json.dumps({"version": 1, "rules": rules}), Config(environ)).rules


@pytest.mark.parametrize(
    ("method", "bound"),
    [
        ("/shop.Stock/Poll", None),
        ("/shop.Stock/Polling", 1 << 64),
        ("/shop.Stock/Get", 0),
        ("/shop.Stock/GetAll", 0),
        ("/shop.Stock/get", 1 << 64),
        ("/shop.Stocks/Get", 1 << 63),
        ("/shop.Payment/Watch", 1 << 63),
        ("/shop/Watch", None),
        ("/other.Service/Watch", None),
        ("/other.Service/Get", 1 << 62),
        ("/a/b/Watch", None),
        ("/Watch", 1 << 62),
        ("Watch", 1 << 62),
        ("", 1 << 62),
    ],
)
def test_the_first_rule_that_matches_decides(method, bound):
    rules = parsed(RULES, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.25")
    for _ in range(2):  # found, then remembered
        sampler = rules.of(method)
        assert (None if sampler is None else sampler.bound) == bound


def test_what_is_remembered_is_bounded():
    rules = parsed(RULES)
    for number in range(10000):
        assert rules.of(f"/a.B/Watch{number}").bound == sampling.ALWAYS
    assert len(rules._known) <= 4096


@pytest.mark.parametrize("name", sampling.NAMES)
@pytest.mark.parametrize("parent", [None, SAMPLED, UNSAMPLED], ids=["root", "sampled", "unsampled"])
def test_a_rules_ratio_is_asked_where_the_samplers_would_be(make_pipeline, tmp_path, name, parent):
    """So a parent's answer goes first with parentbased_*, and the ratio says the same as everywhere else."""
    write(tmp_path, {"version": 1, "rules": [{"service": "a.B", "ratio": 0.3}, {"service": "c.D", "ratio": "0.7"}]})
    pipeline = make_pipeline({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": "0.01"}, str(tmp_path))
    follows = name.startswith("parentbased_") and parent is not None
    for method, ratio in (("/a.B/M", 0.3), ("/c.D/M", 0.7)):
        for _ in range(50):
            context, parent_id, sampled = pipeline.start(SERVER, method, parent)
            low = context.trace_id & sampling.LOW_64
            bound = TraceIdRatioBased.get_bound_for_rate(ratio)
            assert sampled == (parent.flags == 1 if follows else low < bound)
            assert (context.flags & 1, parent_id) == (sampled, 9 if parent else 0)


def test_a_ratio_of_a_rule_leaves_keep_alone(make_pipeline, tmp_path):
    write(tmp_path, {"version": 1, "rules": [{"ratio": 0}]})
    pipeline = make_pipeline({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, str(tmp_path))
    call = started(pipeline, code=14)
    pipeline.finish(call)
    assert (call.sampled, call.keep, pipeline.counters["spans_waiting"]) == (False, "error", 1)


@pytest.mark.parametrize("ending", [{"code": 14}, {"seconds": 5}, {}], ids=["failed", "slow", "fine"])
@pytest.mark.parametrize("kind", [SERVER, CLIENT])
@pytest.mark.parametrize("parent", [None, SAMPLED, UNSAMPLED], ids=["root", "sampled", "unsampled"])
def test_what_is_dropped_is_exported_by_nobody_and_hands_the_context_on(make_pipeline, tmp_path, parent, kind, ending):
    write(tmp_path, {"version": 1, "rules": [{"service": "shop.*", "drop": True}]})
    pipeline = make_pipeline({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, str(tmp_path))
    call = started(pipeline, kind, parent=parent, **ending)
    pipeline.finish(call)
    assert (call.keep, pipeline.counters["spans_waiting"]) == (None, 0)
    headers = dict(pipeline.inject(call.context, ""))
    if parent is None:
        assert headers["traceparent"].endswith("-02")  # random, not sampled: who comes after follows
    else:
        assert headers == {"traceparent": f"00-{5 << 64 | 7:032x}-{9:016x}-0{parent.flags}", "tracestate": "k=v"}


def test_dropped_calls_stay_in_the_metrics(make_pipeline, tmp_path):
    write(tmp_path, {"version": 1, "rules": [{"drop": True}]})
    with GrpcReceiver() as collector:
        pipeline = make_pipeline({**collector.environ(), "OTEL_METRICS_EXPORTER": "otlp"}, str(tmp_path))
        pipeline.finish(started(pipeline))
        pipeline.flush(8.0)
        (point,) = all_metrics(collector.received.metrics[0])["rpc.server.call.duration"].histogram.data_points
    assert (point.count, collector.received.traces) == (1, [])


def test_a_manual_span_follows_the_sampler(make_pipeline, tmp_path):
    write(tmp_path, {"version": 1, "rules": [{"drop": True}]})
    assert make_pipeline({}, str(tmp_path)).start(1, "validate_payment", None)[2] is True


def test_rules_come_and_go(make_pipeline, tmp_path):
    pipeline = make_pipeline({}, str(tmp_path))
    plain = pipeline.start
    for rules, expected in (([{"drop": True}], None), ([{"ratio": 0}], False), ([], True)):
        write(tmp_path, {"version": 1, "rules": rules})
        pipeline.poll()
        assert pipeline.start(SERVER, "/a.B/C", None)[2] is expected
    assert pipeline.start == plain  # no trace of them: nothing to pay for


@pytest.mark.parametrize("pinned", ["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"])
def test_a_sampler_that_the_user_pinned_goes_before_a_rules_ratio_but_not_before_drop(pinned):
    environ = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25", "GRPCTRACING_PINNED": pinned}
    rules = parsed([{"service": "a.B", "drop": True}, {"ratio": 0.5}], **environ)
    assert rules.of("/a.B/C") is None
    assert rules.of("/c.D/E").bound == 1 << 62


@pytest.mark.parametrize(
    "rule",
    [
        {}, {"service": "a"}, {"ratio": 0.5, "drop": True}, {"ratio": 0.5, "drop": False}, {"drop": False}, {"drop": 1}, {"ratio": 1.5}, {"ratio": -1},
        {"ratio": "x"}, {"ratio": True}, {"ratio": None}, {"ratio": [1]}, {"service": "", "ratio": 1}, {"service": "*a", "ratio": 1}, {"service": "a*b", "ratio": 1},
        {"method": "**", "ratio": 1}, {"method": 3, "ratio": 1}, {"service": None, "drop": True}, "drop", None, [],
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_malformed_rule_changes_nothing_and_is_said_in_one_line(make_pipeline, tmp_path, capsys, rule):
    write(tmp_path, {"version": 1, "rules": [{"service": "a.B", "drop": True}]})
    pipeline = make_pipeline({}, str(tmp_path))
    write(tmp_path, {"version": 1, "rules": [{"ratio": 0}, rule]})
    for _ in range(3):
        pipeline.poll()
    assert pipeline.start(SERVER, "/a.B/C", None)[2] is None
    assert pipeline.start(SERVER, "/c.D/E", None)[2] is True
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("grpctracing: settings.json: rules: ") or "ratio" in line
    assert line.endswith("; keeping what was in effect")
