"""What no cache tells: how often a patch of ours was undone, and since when a rollout has not been complete.

Kept in memory: a restart starts counting anew, which at worst makes the operator a little more patient.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grpctracing.injection.rollout import Rollout, rollout

if TYPE_CHECKING:
    from grpctracing.kube.resources import JSON, Key

WINDOW: Final = 600.0
"""Seconds over which undone injections are counted."""
REMEMBERED: Final = 3600.0
"""Seconds for which a fight is remembered; a different patch (the user changed something) starts afresh."""


@dataclass(slots=True)
class History:
    """Per workload. Times are those of the caller's clock, in seconds."""

    _written: dict[Key, dict[str, list[float]]] = field(default_factory=dict)
    _unhealthy: dict[Key, float] = field(default_factory=dict)

    def undone(self, key: Key, patch: JSON, now: float) -> int:
        """Return how often *patch* was written before: it is needed again only because somebody took it out."""
        times = self._written.get(key, {}).get(digest(patch), [])
        if not times or now - times[-1] > REMEMBERED:
            return 0
        # Counted back from the last write, so that a fight once stopped does not flare up when ten minutes are over.
        return sum(times[-1] - time < WINDOW for time in times)

    def wrote(self, key: Key, patch: JSON, now: float) -> None:
        """Note that *patch* was accepted; the rollout that follows is ours."""
        written = self._written.get(key, {})
        kept = {which: times for which, times in written.items() if now - times[-1] <= REMEMBERED}
        which = digest(patch)
        kept[which] = [time for time in kept.get(which, ()) if now - time <= REMEMBERED] + [now]
        self._written[key] = kept
        self._unhealthy[key] = now

    def reverted(self, key: Key) -> None:
        """Note that we took the injection out ourselves: that it is missing now is nobody's doing."""
        self._written.pop(key, None)

    def failed_since(self, key: Key, deployment: JSON, now: float) -> float:
        """Return for how many seconds the rollout has been incomplete; 0 when it is complete."""
        if rollout(deployment) in {Rollout.COMPLETE, Rollout.EMPTY}:
            self._unhealthy.pop(key, None)
            return 0.0
        return now - self._unhealthy.setdefault(key, now)

    def forget(self, key: Key) -> None:
        """Drop what is known of a workload that is gone."""
        self._written.pop(key, None)
        self._unhealthy.pop(key, None)


def digest(patch: JSON) -> str:
    """Return what makes a patch the same as another one: all but the version that it was made for."""
    return hashlib.sha256(json.dumps(patch["spec"], sort_keys=True).encode()).hexdigest()
