"""Evidence from pods, asked for only while a rollout with our injection stands still."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grpctracing.injection.failure import Failure, diagnose
from grpctracing.injection.guard import carries
from grpctracing.injection.rollout import Rollout, observed, rollout
from grpctracing.kube import errors
from grpctracing.kube.resources import Key, key_of

if TYPE_CHECKING:
    from grpctracing.controllers.pods import Pods
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

STILL: Final = 4.0
"""Seconds without progress before pods are looked at."""
INTERVAL: Final = 4.0
"""Seconds between two looks at the pods of one workload, at first; a long standstill is looked at less and less often."""
LATE: Final = 3600.0
"""Seconds after the end of a rollout when its pods are in question no more: the longest `healthTimeout` there is."""


@dataclass(slots=True)
class Evidence:
    """Looks at the pods of workloads; times are those of the caller's clock, in seconds."""

    pods: Pods
    _looked: dict[Key, tuple[float, Failure | None]] = field(default_factory=dict)

    async def of(
        self, key: Key, deployment: JSON, *, still: float, now: float, ended_for: float = 0.0
    ) -> Failure | None:
        """Return what is wrong with the pods of the present rollout; raises nothing.

        *still* is for how long it has made no progress, *ended_for* how long ago it had ended, if it has.
        """
        state = rollout(deployment)
        in_question = observed(deployment) and carries(deployment) and ended_for <= LATE
        if state not in {Rollout.RUNNING, Rollout.STUCK} or not in_question:
            self._looked.pop(key, None)
            return None
        looked, found = self._looked.get(key, (-math.inf, None))
        if now - looked >= max(INTERVAL, still / 6) and (state is Rollout.STUCK or still >= STILL):
            found = await self._look(deployment)
            self._looked[key] = (now, found)
        # What was seen of another version of the workload says nothing of this one.
        return found if found is not None and found.generation == deployment["metadata"]["generation"] else None

    def forget(self, key: Key) -> None:
        """Drop what is known of a workload that is gone."""
        self._looked.pop(key, None)

    async def _look(self, workload: JSON) -> Failure | None:
        generation = workload["metadata"]["generation"]
        revisions: list[JSON] = []
        pods: list[JSON] = []
        try:
            revisions = await self.pods.revisions(workload)
            pods = await self.pods.present(workload, revisions)
        except errors.ApiError as error:
            # Without the right to look (or an answer) there is still what the workload says of itself.
            log.warning("pods not seen", extra={"workload": str(key_of(workload)), "error": str(error)})
        return diagnose(workload, revisions, pods, generation=generation)
