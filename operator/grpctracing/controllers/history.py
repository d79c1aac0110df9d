"""What no cache tells: how often a patch of ours was undone, and since when a rollout stands still, or is complete.

Kept in memory: a restart starts counting anew, which at worst makes the operator a little more patient.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection.kinds import numbers
from grpctracing.injection.rollout import Rollout, observed, rollout, score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.kube.resources import JSON, Key

WINDOW: Final = 4 * 3600.0
"""Seconds over which undone injections are counted: a GitOps tool may come by only once an hour."""
REMEMBERED: Final = 24 * 3600.0
"""Seconds for which a fight is remembered; another patch or another image (the user changed something) starts afresh."""


@dataclass(slots=True)
class History:
    """Per workload. Times are those of the caller's clock, in seconds."""

    _written: dict[Key, dict[str, list[float]]] = field(default_factory=dict)
    _unhealthy: dict[Key, float] = field(default_factory=dict)
    _healthy: dict[Key, float] = field(default_factory=dict)
    _best: dict[Key, tuple[str, int]] = field(default_factory=dict)
    """The pod template that rolls out, and how far it has come at best: a pod that flaps is no progress."""
    _over: dict[Key, tuple[str, float]] = field(default_factory=dict)
    """Which rollout it is, and since when it is over: inf while it runs, -inf where that was before the first look."""

    def undone(self, key: Key, patch: JSON, now: float, image: str = "") -> int:
        """Return how often *patch* was written before beside the same *image*: it is needed again as somebody took it out."""
        times = self._written.get(key, {}).get(digest(patch) + image, [])
        if not times or now - times[-1] > REMEMBERED:
            return 0
        # Counted back from the last write, so that a fight once stopped does not flare up when the window has passed.
        return sum(times[-1] - time < WINDOW for time in times)

    def wrote(self, key: Key, patch: JSON, now: float, image: str = "") -> None:
        """Note that *patch* was accepted; the rollout that follows is ours."""
        written = self._written.get(key, {})
        kept = {which: times for which, times in written.items() if now - times[-1] <= REMEMBERED}
        which = digest(patch) + image
        kept[which] = [time for time in kept.get(which, ()) if now - time <= REMEMBERED] + [now]
        self._written[key] = kept
        self._unhealthy[key] = now
        self._healthy.pop(key, None)
        self._best.pop(key, None)

    def reverted(self, key: Key) -> None:
        """Note that we took the injection out as asked: that it is missing now is nobody's doing."""
        self._written.pop(key, None)

    def took_back(self, key: Key, patch: JSON, now: float, image: str = "") -> None:
        """Note that the guard took the injection out; should somebody put it in again, that is a fight like any other."""
        which = digest(patch) + image
        times = [time for time in self._written.get(key, {}).get(which, ()) if now - time <= REMEMBERED]
        self._written[key] = {which: [*times, now]}

    def failed_since(self, key: Key, deployment: JSON, now: float) -> float:
        """Return for how many seconds the rollout has been incomplete and made no progress; 0 when it is complete."""
        state = rollout(deployment)
        if state not in {Rollout.RUNNING, Rollout.STUCK}:
            self._unhealthy.pop(key, None)
            self._best.pop(key, None)
            if state is Rollout.HELD:
                self._healthy.pop(key, None)  # what is only partly there proves nothing yet
                return 0.0
            self._healthy.setdefault(key, now)
            return 0.0
        self._healthy.pop(key, None)
        template, best = digest(deployment), score(deployment)
        known = self._best.get(key)
        if known is None or known[0] != template or best > known[1]:
            self._best[key] = (template, best)
            if known is not None:
                self._unhealthy[key] = now
        if deployment["spec"].get("paused"):
            self._unhealthy[key] = now  # what stands still as its user wants it begins anew with the resume
        return now - self._unhealthy.setdefault(key, now)

    def healthy_for(self, key: Key, now: float) -> float:
        """Return for how many seconds the rollout has been complete, as far as `failed_since` was asked."""
        return now - self._healthy.get(key, now)

    def over_for(self, key: Key, workload: JSON, now: float) -> float | None:
        """Return for how many seconds the present rollout has been over, as far as it was watched; else None.

        For kinds whose own books don't tell. Where pods wait for their user, each that is replaced is a rollout of its own.
        """
        pods = numbers(workload)
        runs = rollout(workload) in {Rollout.RUNNING, Rollout.STUCK}
        mark = digest(workload) + (f" {pods.updated}" if pods.updated < pods.total else "")
        known, since = self._over.get(key, ("", math.inf))
        if not known:
            begun = not observed(workload) or pods.updated < pods.replaced
            since = math.inf if runs and begun else -math.inf
        elif mark != known:
            since = math.inf
        if since == math.inf and not runs:
            since = now
        self._over[key] = (mark, since)
        return None if since == -math.inf else max(now - since, 0.0)

    def forget(self, key: Key) -> None:
        """Drop what is known of a workload that is gone."""
        self._written.pop(key, None)
        self._unhealthy.pop(key, None)
        self._healthy.pop(key, None)
        self._best.pop(key, None)
        self._over.pop(key, None)


def digest(obj: Mapping[str, Any]) -> str:
    """Return what makes a patch (a Deployment) the same as another one: its pod template, not the version it is of."""
    return hashlib.sha256(json.dumps(obj["spec"]["template"], sort_keys=True).encode()).hexdigest()
