"""How a Deployment's rollout stands, read from its spec and status alone."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Rollout(Enum):
    """What `kubectl rollout status` would say."""

    COMPLETE = "complete"
    RUNNING = "running"
    STUCK = "stuck"
    EMPTY = "scaled to zero"


def rollout(deployment: Mapping[str, Any]) -> Rollout:
    """Return the state of the newest rollout, by the rules of `kubectl rollout status`."""
    status = deployment.get("status") or {}
    replicas = deployment["spec"].get("replicas", 1)
    if not observed(deployment):
        return Rollout.RUNNING
    for condition in status.get("conditions") or ():
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Rollout.STUCK
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    if replicas == 0 and total == 0:
        return Rollout.EMPTY
    if updated < replicas or total > updated or status.get("availableReplicas", 0) < updated:
        return Rollout.RUNNING
    return Rollout.COMPLETE


def observed(deployment: Mapping[str, Any]) -> bool:
    """Tell whether the Deployment's controller has seen the present template: before that, no status speaks of it."""
    status = deployment.get("status") or {}
    return bool(status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0))


def score(deployment: Mapping[str, Any]) -> int:
    """Return how far the newest rollout has come; only a higher number is progress."""
    status = deployment.get("status") or {}
    updated = status.get("updatedReplicas", 0)
    old = status.get("replicas", 0) - updated
    return int(updated + status.get("availableReplicas", 0) - 2 * old)


def ended_at(deployment: Mapping[str, Any]) -> str | None:
    """Return when the newest rollout had ended (RFC 3339); None while it runs. What pods do later changes nothing of it."""
    for condition in (deployment.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Progressing" and condition.get("reason") == "NewReplicaSetAvailable":
            return str(condition.get("lastUpdateTime") or condition.get("lastTransitionTime") or "") or None
    return None


def progress(deployment: Mapping[str, Any]) -> str:
    """Return "2 of 3 pods updated, 1 available" for messages."""
    status = deployment.get("status") or {}
    return (
        f"{status.get('updatedReplicas', 0)} of {deployment['spec'].get('replicas', 1)} pods updated, "
        f"{status.get('availableReplicas', 0)} available"
    )
