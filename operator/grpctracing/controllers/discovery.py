"""Images of pods that no workload in the caches stands behind (Jobs, CronJobs, bare pods), where a policy is for them.

No watch: there may be a hundred thousand pods. They are listed now and then, the less often the more there are, without
those of ReplicaSets, StatefulSets and DaemonSets, which their templates already speak for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grpctracing.controllers.world import Unreadable
from grpctracing.injection import names
from grpctracing.injection.admitted import ADMISSION
from grpctracing.injection.containers import Refusal
from grpctracing.injection.preflight import unprobed
from grpctracing.injection.select import Match, select
from grpctracing.kube import errors
from grpctracing.kube.part import anywhere
from grpctracing.kube.resources import PODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grpctracing.api import GrpcTracing
    from grpctracing.controllers.preflight import Preflight
    from grpctracing.controllers.world import World
    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON, Key

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
"""How soon a namespace is found whose first policy has just come into force; costs no call."""
PAUSE_SECONDS: Final = 60.0
SECONDS_PER_POD: Final = 0.1
SELECTOR: Final = ",".join(
    ("!pod-template-hash", "!controller-revision-hash", f"{names.MANAGED_BY_LABEL}!={names.FIELD_MANAGER}")
)


@dataclass(slots=True)
class Discovery:
    """Has *preflight* look into the images of such pods."""

    client: Client
    world: World
    preflight: Preflight
    in_force: Callable[[Key], bool]
    """Whether the API servers go by the policy of a GrpcTracing: without one, no look changes anything."""
    ours: Callable[[str], bool] = anywhere
    """Whether the operator works in a namespace that it sees."""
    clock: Callable[[], float] = time.monotonic
    _due: dict[str, float] = field(default_factory=dict)
    """Namespace → when it is looked at next."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """List the pods of each namespace whose time has come; a refusal is told, and asked again later."""
        tracings = list(self._tracings())
        namespaces = {each.metadata.namespace for each in tracings}
        self._due = {namespace: at for namespace, at in self._due.items() if namespace in namespaces}
        for namespace in sorted(namespaces):
            if self._due.get(namespace, 0.0) > self.clock():
                continue
            try:
                pods = await self.client.list(PODS, namespace, selector=SELECTOR)
            except errors.ApiError as error:
                log.warning("pods not listed", extra={"namespace": namespace, "error": str(error)})
                pods = []
            self._due[namespace] = self.clock() + max(PAUSE_SECONDS, SECONDS_PER_POD * len(pods))
            for pod in pods:
                self._ask(pod, [each for each in tracings if each.metadata.namespace == namespace])

    def _tracings(self) -> Iterator[GrpcTracing]:
        """Yield the objects whose policies go by what is known of images."""
        for key in self.world.tracings:
            if not self.ours(key.namespace):  # taken up a moment later
                continue
            try:
                tracing = self.world.tracing(key)
            except Unreadable:  # told where it is reconciled
                continue
            if tracing is None or tracing.metadata.deletion_timestamp is not None or tracing.spec.preflight != "Auto":
                continue
            asked_for = (tracing.spec.rollout.mode, tracing.spec.rollout.strategy) == ("Apply", ADMISSION)
            if asked_for and self.in_force(key):
                yield tracing

    def _ask(self, pod: JSON, tracings: list[GrpcTracing]) -> None:
        workload = as_workload(pod)
        for tracing in tracings:
            if select(workload, [tracing]).match is not Match.SELECTED:
                continue
            try:
                unknown = unprobed(workload, tracing, self.preflight.probed(workload, tracing), by_policy=True)
            except Refusal:  # the policy leaves it alone
                continue
            if asked := unknown or self.preflight.due(workload, tracing):
                self.preflight.ask(None, workload, tracing, asked)


def as_workload(pod: JSON) -> JSON:
    """Return a pod as a workload whose pods are like it."""
    metadata = pod["metadata"]
    shown = {key: metadata.get(key) or {} for key in ("labels", "annotations")}
    own = {"name": metadata["name"], "namespace": metadata["namespace"]}
    return {"metadata": own | shown, "spec": {"template": {"metadata": shown, "spec": pod["spec"]}}}
