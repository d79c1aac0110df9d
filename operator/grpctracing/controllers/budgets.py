"""PodDisruptionBudgets of users, asked for in the moment in which a workload would be patched: one list per namespace.

No watch on them: between two rollouts they are nobody's business here.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grpctracing.injection.budget import exhausted
from grpctracing.kube import errors
from grpctracing.kube.resources import DISRUPTION_BUDGETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

FRESH: Final = 5.0
"""Seconds for which an answer counts: what waits for a budget asks again later than that (`guard.BUDGET`)."""


@dataclass(slots=True)
class Budgets:
    """Knows what was last heard of budgets, by namespace."""

    client: Client
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[float, list[JSON]]] = field(default_factory=dict)

    def exhausted(self, workload: JSON) -> str:
        """Return the budget that lets no pod of *workload* go, or "" where there is none or nobody has asked lately."""
        namespace = workload["metadata"]["namespace"]
        return exhausted(workload, self._known[namespace][1]) if self.fresh(namespace) else ""

    def fresh(self, namespace: str) -> bool:
        """Tell whether what is known of a namespace is new enough to go by."""
        return self.clock() - self._known.get(namespace, (-math.inf, []))[0] < FRESH

    async def look(self, namespace: str) -> None:
        """Ask for the budgets of a namespace; raises nothing: without an answer there is none to go by."""
        found: list[JSON] = []
        try:
            found = await self.client.list(DISRUPTION_BUDGETS, namespace)
        except errors.ApiError as error:
            log.warning("budgets not seen", extra={"namespace": namespace, "error": str(error)})
        now = self.clock()
        self._known = {name: entry for name, entry in self._known.items() if now - entry[0] < FRESH}
        self._known[namespace] = (now, found)
