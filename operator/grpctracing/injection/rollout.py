"""How a workload's rollout stands, read from its spec and status alone."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from grpctracing.injection import names
from grpctracing.injection.kinds import numbers

if TYPE_CHECKING:
    from collections.abc import Mapping


class Rollout(Enum):
    """What `kubectl rollout status` would say; *HELD*: the rest of the pods waits for its user (OnDelete, partition)."""

    COMPLETE = "complete"
    RUNNING = "running"
    STUCK = "stuck"
    HELD = "held"
    EMPTY = "scaled to zero"


def rollout(workload: Mapping[str, Any]) -> Rollout:
    """Return the state of the newest rollout, by the rules of `kubectl rollout status`."""
    pods = numbers(workload)
    if not observed(workload):
        return Rollout.RUNNING
    for condition in (workload.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Rollout.STUCK
    if pods.desired == 0 and pods.total == 0:
        return Rollout.EMPTY
    held = pods.desired - pods.replaced
    if pods.updated < pods.replaced or pods.total > pods.updated + held:
        return Rollout.RUNNING
    if pods.available < max(pods.updated, pods.desired):
        return Rollout.RUNNING
    return Rollout.HELD if pods.updated < pods.desired else Rollout.COMPLETE


def observed(workload: Mapping[str, Any]) -> bool:
    """Tell whether the workload's controller has seen the present template: before that, no status speaks of it."""
    status = workload.get("status") or {}
    return bool(status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0))


def score(workload: Mapping[str, Any]) -> int:
    """Return how far the newest rollout has come; only a higher number is progress."""
    pods = numbers(workload)
    return pods.updated + pods.available - 2 * (pods.total - pods.updated)


def ended_at(workload: Mapping[str, Any]) -> str | None:
    """Return when the newest rollout had ended (RFC 3339); None while it runs. What pods do later changes nothing of it.

    Only a Deployment's controller keeps book of that; for the other kinds, `began_at` is the best that is written anywhere.
    """
    for condition in (workload.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Progressing" and condition.get("reason") == "NewReplicaSetAvailable":
            return str(condition.get("lastUpdateTime") or condition.get("lastTransitionTime") or "") or None
    return None


def began_at(workload: Mapping[str, Any]) -> str | None:
    """Return when the injection was last written (RFC 3339), by the API server's books."""
    records = workload["metadata"].get("managedFields") or ()
    ours = [record for record in records if record.get("manager") == names.FIELD_MANAGER]
    return max((str(record["time"]) for record in ours if record.get("time")), default=None)


def progress(workload: Mapping[str, Any]) -> str:
    """Return "2 of 3 pods updated, 1 available" for messages."""
    pods = numbers(workload)
    return f"{pods.updated} of {pods.desired} pods updated, {pods.available} available"
