"""settings.json: what it overrides, when it takes effect, and that a bad one changes nothing."""

import json
import time

import pytest
from _grpctracing import settings
from _grpctracing.config import Config
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.bootstrap.core.calls import CLIENT, SERVER, finished, started

FULL = {
    "version": 1,
    "enabled": False,
    "sampler": {"type": "parentbased_traceidratio", "argument": "0.25"},
    "keep": {"errors": False, "slowerThan": 0.5},
    "messages": "Events",
    "metrics": False,
    "excludedServices": ["a.B"],
    "capturedMetadata": {"request": ["X-Tenant"], "response": ["x-cost"]},
}


def write(directory, data):
    """Replace settings.json as the kubelet does: a new file, swapped in by a symlink."""
    path, fresh = directory / "settings.json", directory / f"data-{time.monotonic_ns()}"
    fresh.write_text(data if isinstance(data, str) else json.dumps(data))
    link = directory / "link"
    link.symlink_to(fresh)
    link.replace(path)


def test_every_member_is_understood():
    found = settings.parse(json.dumps(FULL), Config({}))
    assert (found.enabled, found.sampler.bound, found.sampler.parent_based) == (False, 1 << 62, True)
    assert (found.keep_errors, found.slow_ns, found.metrics) == (False, 500_000_000, False)
    assert found.call.messages == "Events"
    assert (found.excluded, found.request_metadata, found.response_metadata) == ({"a.B"}, ("x-tenant",), ("x-cost",))


def test_what_is_not_said_has_its_default():
    found = settings.parse('{"version": 1}', Config({"OTEL_TRACES_SAMPLER": "always_off"}))
    assert (
        found.enabled,
        found.sampler.bound,
        found.keep_errors,
        found.slow_ns,
        found.call.messages,
        found.metrics,
    ) == (
        True,
        0,
        True,
        10**9,
        "Sizes",
        True,
    )
    assert "grpc.health.v1.Health" in found.excluded


def test_null_means_no_call_is_slow():
    assert settings.parse('{"version": 1, "keep": {"slowerThan": null}}', Config({})).slow_ns > 10**18


@pytest.mark.parametrize(
    ("pinned", "bound", "parent_based"),
    [
        ("", 1 << 62, True),
        ("OTEL_TRACES_SAMPLER_ARG", 1 << 63, True),
        ("OTEL_TRACES_SAMPLER", 1 << 62, False),
        ("OTEL_TRACES_SAMPLER,OTEL_TRACES_SAMPLER_ARG", 1 << 63, False),
    ],
)
def test_what_the_user_pinned_in_the_environment_stays(pinned, bound, parent_based):
    environ = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5", "GRPCTRACING_PINNED": pinned}
    found = settings.parse(json.dumps(FULL), Config(environ)).sampler
    assert (found.bound, found.parent_based) == (bound, parent_based)


MALFORMED = [
    "", "{", "[]", "null", '{"version": 2}', '{"version": 1, "enabled": 1}', '{"version": 1, "sampler": []}', '{"version": 1, "sampler": {"type": "dice"}}',
    '{"version": 1, "sampler": {"type": "traceidratio", "argument": "7"}}', '{"version": 1, "keep": {"slowerThan": "1s"}}', '{"version": 1, "keep": {"slowerThan": -1}}',
    '{"version": 1, "keep": {"slowerThan": NaN}}', '{"version": 1, "keep": {"slowerThan": true}}', '{"version": 1, "messages": "All"}',
    '{"version": 1, "excludedServices": "a.B"}', '{"version": 1, "excludedServices": [1]}', '{"version": 1, "capturedMetadata": {"request": [null]}}', "[" * 100000,
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: text[:60])
def test_a_malformed_file_keeps_the_last_good_state_and_says_so_in_one_line(make_pipeline, tmp_path, capsys, text):
    write(tmp_path, {"version": 1, "sampler": {"type": "always_off"}, "excludedServices": ["a.B"]})
    pipeline = make_pipeline({}, str(tmp_path))
    write(tmp_path, text)
    for _ in range(3):
        pipeline.poll()
    assert pipeline.enabled
    assert pipeline.settings.sampler.bound == 0
    assert pipeline.excluded("/a.B/C")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("grpctracing: settings.json: ")
    write(tmp_path, {"version": 1, "sampler": {"type": "always_on"}})
    pipeline.poll()
    assert pipeline.settings.sampler.bound == 1 << 64
    assert not pipeline.excluded("/a.B/C")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from([*FULL, "errors", "slowerThan", "type", "argument"]), st.text(max_size=3)), inner
        ),
    ),
    max_leaves=12,
)


@hypothesis_settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(FULL)), JSON).map(lambda data: {**data, "version": 1}))
def test_any_json_is_good_or_a_value_error(data):
    try:
        found = settings.parse(json.dumps(data), Config({}))
    except ValueError:
        return
    assert isinstance(found.enabled, bool)
    assert isinstance(found.slow_ns, int)


def test_a_change_takes_effect_within_two_seconds(make_pipeline, tmp_path):
    write(tmp_path, {"version": 1})
    pipeline = make_pipeline({}, str(tmp_path))
    assert pipeline.enabled
    assert pipeline.start(SERVER, "/a.B/C", None)[2]
    write(tmp_path, {"version": 1, "enabled": False, "sampler": {"type": "always_off"}})
    changed = time.monotonic()
    while pipeline.enabled:
        assert time.monotonic() - changed < 2
        time.sleep(0.01)
    assert not pipeline.start(SERVER, "/a.B/C", None)[2]
    write(tmp_path, {"version": 1})
    changed = time.monotonic()
    while not pipeline.enabled:
        assert time.monotonic() - changed < 2
        time.sleep(0.01)


def test_a_file_that_goes_away_changes_nothing_and_one_that_comes_later_counts(make_pipeline, tmp_path, capsys):
    pipeline = make_pipeline({}, str(tmp_path))
    write(tmp_path, {"version": 1, "sampler": {"type": "always_off"}})
    pipeline.poll()
    assert pipeline.settings.sampler.bound == 0
    (tmp_path / "settings.json").unlink()
    pipeline.poll()
    assert pipeline.settings.sampler.bound == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("call", "keep", "expected"),
    [
        ({"code": 14}, {}, "error"),
        ({"code": 5}, {}, None),
        ({"code": 5, "kind": CLIENT}, {}, "error"),
        ({"code": 0, "seconds": 1.0}, {}, "slow"),
        ({"code": 0, "seconds": 0.999}, {}, None),
        ({"code": 14, "seconds": 2}, {}, "error"),
        ({"code": 14}, {"errors": False}, None),
        ({"code": 14, "seconds": 2}, {"errors": False}, "slow"),
        ({"code": 0, "seconds": 5}, {"slowerThan": None}, None),
        ({"code": 14, "seconds": 2, "sampled": True}, {}, None),
    ],
)
def test_which_unsampled_calls_are_kept(make_pipeline, tmp_path, call, keep, expected):
    write(tmp_path, {"version": 1, "keep": keep})
    pipeline = make_pipeline({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, str(tmp_path))
    record = finished(**{"sampled": False, **call})
    pipeline.finish(record)
    assert record.keep == expected
    assert bool(pipeline.counters["spans_waiting"]) == (expected is not None or record.sampled)


def test_health_and_reflection_are_excluded_by_default(make_pipeline):
    pipeline = make_pipeline()
    assert pipeline.excluded("/grpc.health.v1.Health/Check")
    assert not pipeline.excluded("/grpc.health.v1.Healthy/Check")
    for number in range(10000):  # made-up methods must not fill memory
        assert not pipeline.excluded(f"/a.B/M{number}")
    assert len(pipeline.exclusions) <= 4096


def test_services_that_the_environment_excludes_stay_excluded_whatever_the_file_says(make_pipeline, tmp_path):
    pipeline = make_pipeline({"OTEL_PYTHON_GRPC_EXCLUDED_SERVICES": "mine.A,mine.B"}, str(tmp_path))
    for file in (None, {"version": 1, "excludedServices": ["a.B"]}, {"version": 1, "excludedServices": []}):
        if file is not None:
            write(tmp_path, file)
            pipeline.poll()
        assert pipeline.excluded("/mine.A/C")
        assert pipeline.excluded("/mine.B/C")
        assert not pipeline.excluded("/mine.C/C")
    assert not pipeline.excluded("/grpc.health.v1.Health/Check")


CREDENTIALS = [
    "authorization",
    "Cookie",
    "set-cookie",
    "x-api-key",
    "x-apikey",
    "id-token",
    "tokens",
    "db.password",
    "session_id",
    "x-amz-signature",
    "x-forwarded-client-cert",
]


@pytest.mark.parametrize("direction", ["request", "response"])
@pytest.mark.parametrize("key", CREDENTIALS)
def test_credentials_are_not_captured_whoever_asks_and_one_line_says_so(capsys, direction, key):
    data = {"version": 1, "capturedMetadata": {direction: ["x-tenant", key, "idempotency-key", "monkey", "author"]}}
    for _ in range(2):
        found = settings.parse(json.dumps(data), Config({}))
    assert getattr(found, direction + "_metadata") == ("x-tenant", "idempotency-key", "monkey", "author")
    (line,) = capsys.readouterr().err.splitlines()
    assert repr(key.lower()) in line


def test_api_and_payload_refuse_the_same_keys():
    from grpctracing.api import instrumentation

    assert (settings.CREDENTIALS, settings._HARMLESS) == (instrumentation.CREDENTIALS, instrumentation.HARMLESS)


def test_the_disabled_sdk_stays_off(make_pipeline, tmp_path):
    write(tmp_path, {"version": 1, "enabled": True})
    pipeline = make_pipeline({"OTEL_SDK_DISABLED": "TRUE"}, str(tmp_path))
    assert not pipeline.enabled


def test_a_hundred_internal_errors_switch_off_for_good(make_pipeline, tmp_path, capsys):
    write(tmp_path, {"version": 1})
    pipeline = make_pipeline({}, str(tmp_path))
    for _ in range(99):
        pipeline.error(RuntimeError("boom"), "test")
    assert pipeline.enabled
    pipeline.finish(object())  # not a call: an error of its own, and none for the caller
    assert not pipeline.enabled
    write(tmp_path, {"version": 1, "enabled": True})
    pipeline.poll()
    assert not pipeline.enabled
    (line,) = capsys.readouterr().err.splitlines()
    assert "switched off after 100 internal errors" in line


def test_a_started_call_has_the_ids_that_the_context_says(make_pipeline):
    pipeline = make_pipeline({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
    root = started(pipeline)
    child = started(pipeline, CLIENT, parent=root.context)
    assert child.context.trace_id == root.context.trace_id
    assert child.parent_id == root.context.span_id
    assert len({root.context.span_id, child.context.span_id}) == 2
