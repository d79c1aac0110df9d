"""The status of a GrpcTracing, from what is known of it."""

from __future__ import annotations

import json

import pytest

from grpctracing.api import GrpcTracingStatus
from grpctracing.controllers.board import Facts
from grpctracing.controllers.conditions import conditions, status
from grpctracing.injection import Action, Reason, State, Verdict

NOW, BEFORE = "2026-11-24T12:00:00Z", "2026-11-24T11:00:00Z"
GOOD = Facts(True, ("Available", "The Collector is available."))


def verdict(state=State.INJECTED, reason=Reason.NO_SPANS_YET, message="", **more):
    return Verdict(Action.NOTHING, state, reason, message, tracing="default", **more)


INJECTED = verdict()
SEEN = verdict(State.INSTRUMENTED, Reason.SPANS_SEEN)
ROLLING = verdict(State.PROGRESSING, Reason.ROLLING_OUT)
WAITING = verdict(State.PENDING, Reason.ROLLOUT_SLOT)
PLANNED = verdict(State.PENDING, Reason.PLANNED)
FOUGHT = verdict(State.DEGRADED, Reason.CONTESTED)
ILL = verdict(State.DEGRADED, Reason.UNHEALTHY)
OUT = verdict(State.SKIPPED, Reason.OPTED_OUT)
TAKEN = Facts(False, ("NameTaken", 'Service "otel-collector" exists and is not ours'))
LEAVING = Facts(None, ("Leaving", ""), ("Reverting", "waits until a is reverted"))


@pytest.mark.parametrize(
    ("facts", "workloads", "ready", "progressing", "degraded"),
    [
        (GOOD, {}, "True NothingMatched", "False Settled", "False AsExpected"),
        (GOOD, {"a": SEEN, "b": INJECTED, "c": OUT}, "True Reconciled", "False Settled", "False AsExpected"),
        (GOOD, {"a": ROLLING}, "False WorkloadsProgressing", "True RollingOut", "False AsExpected"),
        (GOOD, {"a": WAITING}, "False WorkloadsProgressing", "True Waiting", "False AsExpected"),
        (GOOD, {"a": PLANNED}, "True Planned", "False Settled", "False AsExpected"),
        (GOOD, {"a": FOUGHT, "b": ILL}, "False WorkloadsDegraded", "False Settled", "True Contested"),
        (GOOD, {"a": ILL, "b": ROLLING}, "False WorkloadsDegraded", "True RollingOut", "True Unhealthy"),
        (Facts(), {"a": INJECTED}, "False CollectorNotReady", "False Settled", "False AsExpected"),
        (TAKEN, {}, "False CollectorNotReady", "False Settled", "True NameTaken"),
        (Facts(None, ("External", "")), {"a": INJECTED}, "True Reconciled", "False Settled", "False AsExpected"),
        (LEAVING, {}, "False Reverting", "False Settled", "False AsExpected"),
        (Facts(trouble=("Refused", "403")), {}, "False Refused", "False Settled", "True Refused"),
    ],
)
def test_conditions(facts, workloads, ready, progressing, degraded):
    found = {kind: " ".join(outcome[:2]) for kind, outcome in conditions(facts, workloads).items()}
    assert (found["Ready"], found["Progressing"], found["Degraded"]) == (ready, progressing, degraded)


def test_what_cannot_be_injected_is_named_and_what_shall_not_be_is_not():
    given = {"a": SEEN, "b": OUT, "c": verdict(State.SKIPPED, Reason.MOUNT_PATH_TAKEN)}
    assert conditions(GOOD, given)["Ready"][2] == (
        "All matched workloads are as they should be, except what is left alone: c."
    )


def obj(**fields):
    return {"metadata": {"name": "default", "namespace": "production", "generation": 3}, **fields}


def test_the_same_facts_give_the_same_status_later():
    first = status(obj(), GOOD, {"a": SEEN, "b": ROLLING}, BEFORE)
    assert status(obj(status=first), GOOD, {"a": SEEN, "b": ROLLING}, NOW) == first


def test_a_time_moves_only_with_what_it_is_about():
    first = status(obj(), GOOD, {"a": SEEN, "b": ROLLING}, BEFORE)
    second = status(obj(status=first), GOOD, {"a": SEEN, "b": INJECTED}, NOW)
    assert {entry["name"]: entry["lastTransitionTime"] for entry in second["workloads"]} == {"a": BEFORE, "b": NOW}
    times = {condition["type"]: condition["lastTransitionTime"] for condition in second["conditions"]}
    assert times == {"Ready": NOW, "Progressing": NOW, "CollectorReady": BEFORE, "Degraded": BEFORE}


def test_counts_add_up_and_the_worst_come_first():
    many = {f"ok-{number:03}": SEEN for number in range(70)} | {"z-ill": ILL, "y-waiting": WAITING}
    found = status(obj(), GOOD, many, NOW)
    counts = found["counts"]
    assert counts["matched"] == 72 == sum(counts.values()) - counts["matched"]
    assert [entry["name"] for entry in found["workloads"][:3]] == ["z-ill", "y-waiting", "ok-000"]
    assert len(found["workloads"]) == 50


def test_it_is_what_the_api_describes():
    found = status(obj(), GOOD, {"a": SEEN}, NOW)
    model = GrpcTracingStatus.model_validate(found)
    assert model.observed_generation == 3
    assert model.counts.instrumented == 1
    assert model.model_dump(by_alias=True, exclude_none=True, mode="json") == {**found, "reverted": []}


def test_a_message_is_short_enough_for_the_api_server():
    found = status(obj(), GOOD, {"a": verdict(message="x" * 5000)}, NOW)
    assert len(found["workloads"][0]["message"]) <= 2048


def test_ten_thousand_workloads_with_much_to_say_stay_within_bounds():
    containers = tuple(f"{number:063}" for number in range(20))
    workloads = {
        f"{number:0253}": verdict(State.INJECTED, Reason.NO_SPANS, "é" * 2000, service="s" * 500, containers=containers)
        for number in range(9_999)
    }
    workloads["broken"] = verdict(State.DEGRADED, Reason.REFUSED, "no")
    told = status(obj(), Facts(), workloads, "2026-01-01T00:00:00Z")
    assert len(json.dumps(told)) < 32 << 10
    assert told["workloads"][0]["name"] == "broken"
    assert len(told["workloads"]) > 1
    assert told["counts"]["matched"] == 10_000
    assert told["counts"]["injected"] == 9_999
