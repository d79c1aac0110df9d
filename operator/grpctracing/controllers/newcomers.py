"""Pods that came through a policy: whether the next would, what is wrong with those that are there, and what to do about it.

Only for workloads of which pods are evicted (`restarts`), or were: nobody else's pods are looked at.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from grpctracing.api import seconds
from grpctracing.controllers.evidence import INTERVAL, STILL
from grpctracing.injection import guard
from grpctracing.injection.failure import diagnose, fails_for_good
from grpctracing.injection.kinds import ON_DELETE, update_type
from grpctracing.injection.restart import successor
from grpctracing.injection.rollout import observed
from grpctracing.kube.resources import PODS

if TYPE_CHECKING:
    from grpctracing.api import GrpcTracing
    from grpctracing.controllers.pods import Pods
    from grpctracing.injection.failure import Failure
    from grpctracing.kube.events import Recorder
    from grpctracing.kube.resources import JSON, Key

log = logging.getLogger(__name__)

AT_FIRST: Final = 10.0
"""Seconds after its start within which the kubelet has said of a pod that it is not ready (yet)."""


@dataclass(slots=True)
class Newcomers:
    """Looks at pods of workloads that are not well, every few seconds; times are in seconds."""

    pods: Pods
    recorder: Recorder
    _looked: dict[Key, tuple[float, Failure | None]] = field(default_factory=dict)

    async def admitted(self, workload: JSON, pod: JSON) -> bool:
        """Tell whether a pod that was made now in place of *pod* would carry the injection; raises ApiError."""
        namespace = workload["metadata"]["namespace"]
        return carries(await self.pods.client.rehearse(PODS, namespace, successor(workload, pod)))

    async def failure(
        self, key: Key, workload: JSON, tracing: GrpcTracing, *, still: float, now: float
    ) -> Failure | None:
        """Return what is wrong with pods that came through the policy not long ago; raises ApiError.

        *still* is for how long the workload's rollout has made no progress.
        """
        if self._due(key, workload, still, now):
            revisions, pods = await self.pods.all_present(workload)
            asked = [pod for pod in pods if carries(pod) and is_young(pod, tracing)]
            found = diagnose(workload, revisions, asked, generation=workload["metadata"]["generation"])
            self._looked[key] = (now, found)
        return self._looked[key][1] if key in self._looked else None

    async def clear(self, key: Key, workload: JSON, *, judged: bool, still: float, now: float) -> None:
        """Delete pods that broke with the injection, once their successors come without it; raises ApiError.

        Those that crash again and again or can't be started, and where this workload itself was *judged*, those that have never
        been ready: one that runs and has been may wait for something else.
        """
        if update_type(workload) == ON_DELETE or not self._due(key, workload, still, now):
            return
        self._looked[key] = (now, None)
        _, pods = await self.pods.all_present(workload)
        broke = [pod for pod in pods if carries(pod) and (fails_for_good(pod) or (judged and never_ready(pod)))]
        if not broke or await self.admitted(workload, broke[0]):
            return
        for pod in broke:
            await self.pods.client.delete(PODS, pod)
            name = pod["metadata"]["name"]
            log.info("broken pod deleted", extra={"workload": str(key), "pod": name})
            message = f"Deleted pod {name}, which broke with the injection: the next one comes without."
            self.recorder.event(workload, "Normal", "BrokenPodDeleted", message)

    def forget(self, key: Key) -> None:
        """Drop what is known of a workload."""
        self._looked.pop(key, None)

    def _due(self, key: Key, workload: JSON, still: float, now: float) -> bool:
        looked = self._looked[key][0] if key in self._looked else now - still
        return observed(workload) and still >= STILL and now - looked >= max(INTERVAL, still / 6)


def carries(pod: JSON) -> bool:
    """Tell whether a pod is injected."""
    return guard.carries({"spec": {"template": pod}})


def is_young(pod: JSON, tracing: GrpcTracing) -> bool:
    """Tell whether what befalls a pod may be laid at our door: until it had to be ready, and for as long again."""
    made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return (datetime.now(UTC) - made).total_seconds() <= 2 * seconds(tracing.spec.rollout.health_timeout)


def never_ready(pod: JSON) -> bool:
    """Tell whether a pod has not been ready since the kubelet took it up; False where that is not known."""
    status = pod.get("status") or {}
    conditions: list[dict[str, str]] = status.get("conditions") or []
    ready = next((each for each in conditions if each["type"] == "Ready"), {})
    try:
        since, begun = (datetime.fromisoformat(each) for each in (ready["lastTransitionTime"], status["startTime"]))
    except (KeyError, TypeError, ValueError):
        return False
    return ready["status"] != "True" and (since - begun).total_seconds() <= AT_FIRST
