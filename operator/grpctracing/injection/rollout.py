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
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
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


def progress(deployment: Mapping[str, Any]) -> str:
    """Return "2 of 3 pods updated, 1 available" for messages."""
    status = deployment.get("status") or {}
    return (
        f"{status.get('updatedReplicas', 0)} of {deployment['spec'].get('replicas', 1)} pods updated, "
        f"{status.get('availableReplicas', 0)} available"
    )
