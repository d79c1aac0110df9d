"""Others who instrument grpc in the same process, as the real packages do it: we stand down once, or live beside them; the application and they notice nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bootstrap.joining import Outcomes, Run
from tests.bootstrap.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD = "oldest"
FIRST = ["CLIENT test.First/UU", "SERVER test.First/UU"]
CALLS = sorted(f"{kind} test.Echo/{name}" for kind in ("CLIENT", "SERVER") for name in ("UU", "US", "SU", "SS", "Fail"))
DDTRACE_RUN, NEWRELIC_RUN, LAUNCHED = ("ddtrace-run",), ("newrelic-admin", "run-program"), ("opentelemetry-instrument",)
NO_EXPORT = tuple((f"OTEL_{signal}_EXPORTER", "none") for signal in ("TRACES", "METRICS", "LOGS"))
CONTRIB = "opentelemetry-instrumentation-grpc"

# name of the run: (who is named where we stand down, the run without us that it must equal, the run)
STANDING_DOWN = {
    "ddtrace.auto, then grpc": ("ddtrace", "ddtrace", Run("with_ddtrace", "auto-before")),
    "grpc, then ddtrace.auto": ("ddtrace", "ddtrace", Run("with_ddtrace", "auto-after")),
    "ddtrace.patch, then grpc": ("ddtrace", "ddtrace", Run("with_ddtrace", "patch-before")),
    "grpc, then ddtrace.patch": ("ddtrace", "ddtrace", Run("with_ddtrace", "patch-after")),
    "ddtrace-run": ("ddtrace", "ddtrace", Run("with_ddtrace", launcher=DDTRACE_RUN)),
    "grpc, then ddtrace 2.0 patch": ("ddtrace", "old ddtrace", Run("with_ddtrace", "patch-after", OLD)),
    "ddtrace-run 2.0": ("ddtrace", "old ddtrace", Run("with_ddtrace", generation=OLD, launcher=DDTRACE_RUN)),
    "newrelic, then grpc": ("New Relic", "newrelic", Run("with_newrelic", "before")),
    "grpc, then newrelic": ("New Relic", "newrelic", Run("with_newrelic", "after")),
    "newrelic-admin": ("New Relic", "newrelic", Run("with_newrelic", launcher=NEWRELIC_RUN)),
    "grpc, then newrelic 8": ("New Relic", "old newrelic", Run("with_newrelic", "after", OLD)),
    "contrib, then grpc": (CONTRIB, "contrib", Run("with_contrib", "before")),
    "grpc, then contrib": (CONTRIB, "contrib", Run("with_contrib", "after")),
    "grpc, then contrib 0.33": (CONTRIB, "old contrib", Run("with_contrib", "after", OLD)),
}
BESIDE = {
    "sentry, then grpc": ("sentry", Run("with_sentry", "before")),
    "grpc, then sentry": ("sentry", Run("with_sentry", "after")),
    "grpc, then sentry 1.35": ("old sentry", Run("with_sentry", "after", OLD)),
}
IDLE = {
    "ddtrace imported": Run("with_ddtrace", "imported"),
    "ddtrace-run without its grpc": Run(
        "with_ddtrace", launcher=DDTRACE_RUN, env=(("DD_TRACE_GRPC_ENABLED", "false"),)
    ),
    "newrelic imported": Run("with_newrelic", "imported"),
}
OTHERS = {
    "contrib imported": Run("with_contrib", "imported"),
    "contrib during a call": Run("with_contrib", "during"),
    "opentelemetry-instrument": Run("with_contrib", "launched", launcher=LAUNCHED, env=NO_EXPORT),
}
WITHOUT = {
    "ddtrace": Run("with_ddtrace", "patch-before", payload=False),
    "old ddtrace": Run("with_ddtrace", "patch-before", OLD, payload=False),
    "newrelic": Run("with_newrelic", "before", payload=False),
    "old newrelic": Run("with_newrelic", "before", OLD, payload=False),
    "sentry": Run("with_sentry", "before", payload=False),
    "old sentry": Run("with_sentry", "before", OLD, payload=False),
    "contrib": Run("with_contrib", "before", payload=False),
    "old contrib": Run("with_contrib", "before", OLD, payload=False),
}


@pytest.fixture(scope="module")
def outcomes() -> Iterator[Outcomes]:
    with Receiver() as receiver:
        runs = {name: run for name, (_, _, run) in STANDING_DOWN.items()}
        runs |= {name: run for name, (_, run) in BESIDE.items()}
        yield Outcomes(receiver, runs | IDLE | OTHERS | WITHOUT)


def theirs(outcomes: Outcomes, name: str) -> list:
    """Return what the other one recorded, less what only some runs do."""
    found = outcomes.told(name)["theirs"]
    return [one for one in found if "test.First" not in str(one)] if isinstance(found, list) else found


@pytest.mark.parametrize("name", STANDING_DOWN)
def test_we_stand_down_and_say_so_once(outcomes: Outcomes, name: str) -> None:
    who, _, _ = STANDING_DOWN[name]
    (line,) = outcomes.said(name)
    assert line.startswith(f"grpctracing: standing down: {who} ")
    assert line.endswith("instruments grpc in this process")


@pytest.mark.parametrize("name", STANDING_DOWN)
def test_the_application_sees_what_it_sees_without_us(outcomes: Outcomes, name: str) -> None:
    _, alone, _ = STANDING_DOWN[name]
    assert outcomes.told(name)["app"] == outcomes.told(alone)["app"]


@pytest.mark.parametrize("name", STANDING_DOWN)
def test_the_other_records_what_it_records_without_us(outcomes: Outcomes, name: str) -> None:
    _, alone, _ = STANDING_DOWN[name]
    assert theirs(outcomes, alone)
    assert theirs(outcomes, name) == theirs(outcomes, alone)


@pytest.mark.parametrize("name", STANDING_DOWN)
def test_nothing_is_told_twice(outcomes: Outcomes, name: str) -> None:
    """Only the call before the other was switched on is ours (with an SDK of the application's, that call is its)."""
    earlier = name.startswith("grpc, then") and name.endswith(("newrelic", "newrelic 8", "ddtrace.auto", "patch"))
    assert outcomes.names(name) == (FIRST if earlier else [])


@pytest.mark.parametrize("name", BESIDE)
def test_sentry_and_we_both_tell_each_call_once(outcomes: Outcomes, name: str) -> None:
    alone, _ = BESIDE[name]
    assert outcomes.said(name) == []
    assert theirs(outcomes, name) == theirs(outcomes, alone)
    chain = [f"{kind} test.Chain/{method}" for kind in ("CLIENT", "SERVER") for method in ("First", "Last")]
    assert outcomes.names(name) == sorted(2 * CALLS + chain + (FIRST if name.startswith("grpc") else []))
    clients = {span.id: span for span in outcomes.spans(name) if span.kind == "CLIENT"}
    for span in outcomes.spans(name):
        if span.kind == "SERVER":
            assert clients[span.parent].name == span.name
            assert clients[span.parent].trace == span.trace


@pytest.mark.parametrize("name", BESIDE)
def test_beside_sentry_the_application_sees_one_key_more(outcomes: Outcomes, name: str) -> None:
    alone, _ = BESIDE[name]
    seen, expected = outcomes.told(name)["app"], outcomes.told(alone)["app"]
    for ours, plain in zip(seen, expected, strict=True):
        assert set(ours[0].split(",")) == {*plain[0].split(","), "traceparent"}
        assert ours[1:] == plain[1:]


@pytest.mark.parametrize("name", BESIDE)
def test_sentry_baggage_and_that_of_others_travel_together(outcomes: Outcomes, name: str) -> None:
    alone, _ = BESIDE[name]
    assert set(outcomes.told(name)["carried"]) == {*outcomes.told(alone)["carried"], "user"} - {""}


@pytest.mark.parametrize("name", IDLE)
def test_we_trace_where_the_other_does_not(outcomes: Outcomes, name: str) -> None:
    assert outcomes.said(name) == []
    assert not theirs(outcomes, name)
    assert outcomes.names(name) == sorted(2 * CALLS)


def test_contrib_imported_and_not_switched_on(outcomes: Outcomes) -> None:
    """The application's own SDK has all calls then, made by us."""
    assert outcomes.said("contrib imported") == []
    assert outcomes.names("contrib imported") == []
    found = theirs(outcomes, "contrib imported")
    assert sorted(one[0] for one in found) == sorted(2 * CALLS)
    assert {one[3] for one in found} == {"grpctracing"}


def test_calls_under_way_when_contrib_is_switched_on_are_still_ended(outcomes: Outcomes) -> None:
    assert len(outcomes.said("contrib during a call")) == 1
    found = [one for one in theirs(outcomes, "contrib during a call") if one[0].endswith("Fail")]
    assert [one[0] for one in found] == ["CLIENT test.Echo/Fail", "SERVER test.Echo/Fail"]
    assert found[0][2:] == ["ERROR", "grpctracing"]


def test_under_opentelemetry_instrument_we_are_not_started(outcomes: Outcomes) -> None:
    """Its sitecustomize comes first and runs no other."""
    assert outcomes.said("opentelemetry-instrument") == []
    assert outcomes.names("opentelemetry-instrument") == []
    assert theirs(outcomes, "opentelemetry-instrument") == theirs(outcomes, "contrib")
