"""Evidence from pods, asked for only while a rollout with our injection stands still: two bounded lists per look.

No watch on pods: there may be a hundred thousand of them, of which a handful ever matters.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection.failure import Failure, diagnose, newest
from grpctracing.injection.guard import carries
from grpctracing.injection.rollout import Rollout, observed, rollout
from grpctracing.kube import errors
from grpctracing.kube.resources import PODS, REPLICA_SETS, Key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

STILL: Final = 4.0
"""Seconds without progress before pods are looked at."""
INTERVAL: Final = 4.0
"""Seconds between two looks at the pods of one workload, at first; a long standstill is looked at less and less often."""
LATE: Final = 3600.0
"""Seconds after the end of a rollout when its pods are in question no more: the longest `healthTimeout` there is."""
REPLICA_SETS_AT_MOST: Final = "50"
PODS_AT_MOST: Final = "20"
"""All pods of one template fail in the same way, or it is not the template."""


@dataclass(slots=True)
class Evidence:
    """Looks at the pods of workloads; times are those of the caller's clock, in seconds."""

    client: Client
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
        # What was seen of another version of the Deployment says nothing of this one.
        return found if found is not None and found.generation == deployment["metadata"]["generation"] else None

    def forget(self, key: Key) -> None:
        """Drop what is known of a workload that is gone."""
        self._looked.pop(key, None)

    async def _look(self, deployment: JSON) -> Failure | None:
        metadata = deployment["metadata"]
        namespace, generation = metadata["namespace"], metadata["generation"]
        replica_sets: list[JSON] = []
        pods: list[JSON] = []
        try:
            replica_sets = await self._list(REPLICA_SETS, namespace, deployment["spec"], REPLICA_SETS_AT_MOST)
            if (present := newest(deployment, replica_sets)) is not None:
                pods = await self._list(PODS, namespace, present["spec"], PODS_AT_MOST)
        except errors.ApiError as error:
            # Without the right to look (or an answer) there is still what the Deployment says of itself.
            log.warning("pods not seen", extra={"workload": f"{namespace}/{metadata['name']}", "error": str(error)})
        return diagnose(deployment, replica_sets, pods, generation=generation)

    async def _list(self, resource: Any, namespace: str, spec: JSON, limit: str) -> list[JSON]:
        query = {"limit": limit, "labelSelector": selector(spec["selector"])}
        return list((await self.client.page(resource, namespace, query)).get("items") or ())


def selector(spec: Mapping[str, Any]) -> str:
    """Return a `metav1.LabelSelector` as the query parameter spells it."""
    terms = [f"{key}={value}" for key, value in sorted((spec.get("matchLabels") or {}).items())]
    for expression in spec.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(expression.get("values") or ())
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[expression["operator"]]
        )
    return ",".join(terms)
