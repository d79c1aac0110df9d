"""From what is known of a GrpcTracing to its status: pure, so that the same facts always read the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from grpctracing.api import MAX_WORKLOADS, label
from grpctracing.injection import Reason, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.controllers.board import Facts
    from grpctracing.injection import Verdict
    from grpctracing.kube.resources import JSON

WORST_FIRST: Final = (
    State.DEGRADED,
    State.SKIPPED,
    State.PENDING,
    State.PROGRESSING,
    State.INJECTED,
    State.INSTRUMENTED,
)
ON_PURPOSE: Final = frozenset({Reason.NOT_SELECTED, Reason.OPTED_OUT})
LONGEST_MESSAGE: Final = 1024
LARGEST_LISTING: Final = 20 << 10
"""Bytes of JSON, of an object that is to stay below 64 KiB: the books of who wrote it take as much again."""

Outcome = tuple[str, str, str]
"""Status, reason and message of a condition."""


def status(obj: JSON, facts: Facts, workloads: Mapping[str, Verdict], now: str) -> JSON:
    """Return the status of a GrpcTracing; times of what has not changed are kept from *obj*."""
    before = obj.get("status") or {}
    generation = obj["metadata"]["generation"]
    told = {condition["type"]: condition for condition in before.get("conditions") or ()}
    told_of_workloads = {"counts": counts(workloads), "workloads": listing(before, workloads, now)}
    if facts.undecided:
        told_of_workloads |= {name: before[name] for name in told_of_workloads if name in before}
    return {
        "observedGeneration": generation,
        "conditions": [
            condition(told.get(kind), kind, generation, outcome, now)
            for kind, outcome in conditions(facts, workloads).items()
        ],
        **told_of_workloads,
    }


def conditions(facts: Facts, workloads: Mapping[str, Verdict]) -> dict[str, Outcome]:
    """Return the conditions by type."""
    return {
        "Ready": ready(facts, workloads),
        "CollectorReady": ({True: "True", False: "False", None: "Unknown"}[facts.collector_ready], *facts.collector),
        "Progressing": progressing(workloads),
        "Degraded": degraded(facts, workloads),
    }


def ready(facts: Facts, workloads: Mapping[str, Verdict]) -> Outcome:
    """Ready: everything that was asked for is in place. What `kubectl wait --for=condition=Ready` waits for."""
    if facts.trouble is not None:
        return ("False", *facts.trouble)
    if facts.collector_ready is False:
        return ("False", "CollectorNotReady", facts.collector[1])
    return workloads_ready(workloads)


def workloads_ready(workloads: Mapping[str, Verdict]) -> Outcome:
    """Return the part of Ready that is about workloads."""
    if worst := in_state(workloads, State.DEGRADED):
        return ("False", "WorkloadsDegraded", naming(worst))
    if open_work := sorted(unplanned(workloads) + in_state(workloads, State.PROGRESSING)):
        return ("False", "WorkloadsProgressing", naming(open_work))
    if planned := in_state(workloads, State.PENDING):
        pods = sum(workloads[name].restarts for name in planned)
        message = f"Would patch {len(planned)} and replace {pods} pods: {naming(planned)}; spec.rollout.mode is Plan."
        return ("True", "Planned", message)
    if not workloads:
        return ("True", "NothingMatched", "No workload is annotated or selected yet.")
    left_alone = [name for name in in_state(workloads, State.SKIPPED) if workloads[name].reason not in ON_PURPOSE]
    but = f", except what is left alone: {naming(left_alone)}" if left_alone else ""
    return ("True", "Reconciled", f"All matched workloads are as they should be{but}.")


def progressing(workloads: Mapping[str, Verdict]) -> Outcome:
    """Progressing: workloads roll out because of us, or wait for their turn."""
    if rolling := in_state(workloads, State.PROGRESSING):
        return ("True", "RollingOut", naming(rolling))
    if waiting := unplanned(workloads):
        return ("True", "Waiting", naming(waiting))
    return ("False", "Settled", "")


def degraded(facts: Facts, workloads: Mapping[str, Verdict]) -> Outcome:
    """Degraded: something needs a person."""
    if facts.trouble is not None and facts.trouble[0] != "Reverting":
        return ("True", *facts.trouble)
    if facts.collector[0] in {"NameTaken", "Stuck"}:
        return ("True", *facts.collector)
    worst = in_state(workloads, State.DEGRADED)
    if not worst:
        return ("False", "AsExpected", "")
    if contested := [name for name in worst if workloads[name].reason is Reason.CONTESTED]:
        return ("True", "Contested", naming(contested))
    reverted = all(workloads[name].reason is Reason.REVERTED for name in worst)
    return ("True", "Reverted" if reverted else "Unhealthy", naming(worst))


def in_state(workloads: Mapping[str, Verdict], state: State) -> list[str]:
    """Return the names of the workloads in *state*, sorted."""
    return sorted(name for name, verdict in workloads.items() if verdict.state is state)


def unplanned(workloads: Mapping[str, Verdict]) -> list[str]:
    """Return the names of those that wait for something other than the word to go ahead."""
    return [name for name in in_state(workloads, State.PENDING) if workloads[name].reason is not Reason.PLANNED]


def naming(names: list[str]) -> str:
    """Return names for a message: the first few and how many more."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")  # noqa: PLR2004 - a line's worth


def condition(before: Mapping[str, Any] | None, kind: str, generation: int, outcome: Outcome, now: str) -> JSON:
    """Return a `metav1.Condition`; its time is that of the last change of its status."""
    state, reason, message = outcome
    unchanged = before is not None and before["status"] == state
    return {
        "type": kind,
        "status": state,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if before is not None and unchanged else now,
        "reason": reason,
        "message": message[:LONGEST_MESSAGE],
    }


def counts(workloads: Mapping[str, Verdict]) -> dict[str, int]:
    """Return the numbers by state; they add up to `matched`."""
    numbers = {state.value.lower(): 0 for state in State}
    for verdict in workloads.values():
        numbers[verdict.state.value.lower()] += 1
    return {"matched": len(workloads), **numbers}


def listing(before: Mapping[str, Any], workloads: Mapping[str, Verdict], now: str) -> list[JSON]:
    """Return the workloads for the status: worst first, then by name, as many as it may hold; the others are counted."""
    told = {label(entry.get("kind", "Deployment"), entry["name"]): entry for entry in before.get("workloads") or ()}
    worst = sorted(workloads.items(), key=lambda item: (WORST_FIRST.index(item[1].state), item[0]))
    found, room = [], LARGEST_LISTING
    for name, verdict in worst[:MAX_WORKLOADS]:
        line = workload(told.get(name), name, verdict, now)
        room -= len(json.dumps(line))
        if room < 0:
            break
        found.append(line)
    return found


def workload(before: Mapping[str, Any] | None, called: str, verdict: Verdict, now: str) -> JSON:
    """Return one line of the status, of the workload that is so *called* within its namespace."""
    kind, _, name = called.rpartition("/")
    unchanged = before is not None and before["state"] == verdict.state.value
    since = before.get("lastTransitionTime") if before is not None and unchanged else None
    return {
        "kind": kind or "Deployment",
        "name": name,
        "state": verdict.state.value,
        "reason": verdict.reason.value,
        "message": verdict.message[:LONGEST_MESSAGE],
        "service": verdict.service,
        "containers": list(verdict.containers),
        "lastTransitionTime": since or now,
    }
