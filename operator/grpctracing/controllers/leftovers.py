"""Pods that broke with the injection and stay broken without it: the one case in which the old template alone does not help.

A StatefulSet waits for a pod to be ready before it replaces another one, also when the broken pod is of a template that has
been taken back ("forced rollback" in Kubernetes' documentation): somebody has to delete that pod. It is ours to do so: it
carries our injection, its workload does not any more, and it does not run. Under OnDelete pods are their user's to delete, so
there it is told which. Below a partition, pods are made of the template that they had. A pod of a Deployment, or of a DaemonSet that replaces its pods, needs nobody.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grpctracing.controllers.evidence import INTERVAL, STILL
from grpctracing.injection.failure import broken
from grpctracing.injection.guard import carries
from grpctracing.injection.kinds import ON_DELETE, kind_of, partition, update_type
from grpctracing.injection.revisions import owned_by
from grpctracing.injection.rollout import Rollout, observed, rollout
from grpctracing.kube import errors
from grpctracing.kube.resources import PODS, key_of

if TYPE_CHECKING:
    from grpctracing.controllers.pods import Pods
    from grpctracing.kube.events import Recorder
    from grpctracing.kube.resources import JSON, Key

log = logging.getLogger(__name__)

AT_MOST: Final = 20


@dataclass(slots=True)
class Leftovers:
    """Looks after workloads that the injection was taken out of, until they are well; times are in seconds."""

    pods: Pods
    recorder: Recorder
    _taken_out: set[Key] = field(default_factory=set)
    _looked: dict[Key, tuple[float, tuple[str, ...]]] = field(default_factory=dict)

    def took_out(self, key: Key) -> None:
        """Note that we have taken the injection out of a workload."""
        self._taken_out.add(key)

    def forget(self, key: Key) -> None:
        """Drop what is known of a workload that is gone."""
        self._taken_out.discard(key)
        self._looked.pop(key, None)

    def watches(self, key: Key, workload: JSON, *, failed: bool) -> bool:
        """Tell whether such pods may be there; *failed*: the guard has found that it does not run with the injection."""
        if not (kind_of(workload).stuck or update_type(workload) == ON_DELETE):
            return False
        if carries(workload) or rollout(workload) is not Rollout.RUNNING:
            self.forget(key)
            return False
        return failed or key in self._taken_out

    async def clear(
        self, key: Key, workload: JSON, *, still: float, now: float, failed: bool, planning: bool
    ) -> tuple[str, ...]:
        """Delete what is ours to delete of what it `watches`; return the names of pods that are left to their user. Raises nothing.

        *still* is for how long the rollout has made no progress; *planning*: nothing is to be changed at present.
        """
        looked, names = self._looked.get(key, (-math.inf, ()))
        if observed(workload) and still >= STILL and now - looked >= max(INTERVAL, still / 6):
            try:
                names = await self._clear(workload, failed=failed, planning=planning)
            except errors.ApiError as error:
                log.warning("pods not seen", extra={"workload": str(key), "error": str(error)})
            self._looked[key] = (now, names)
        return names

    async def _clear(self, workload: JSON, *, failed: bool, planning: bool) -> tuple[str, ...]:
        pods = await clear(self.pods, workload, failed=failed, planning=planning)
        for name in (name for name, deleted in pods.items() if deleted):
            log.info("broken pod deleted", extra={"workload": str(key_of(workload)), "pod": name})
            message = f"Deleted pod {name}, which broke with the injection: nothing else would have replaced it."
            self.recorder.event(workload, "Normal", "BrokenPodDeleted", message)
        return tuple(name for name, deleted in pods.items() if not deleted)


async def clear(pods: Pods, workload: JSON, *, failed: bool = False, planning: bool = False) -> dict[str, bool]:
    """Delete the broken pods of one workload that are ours to delete; return each name, and whether it was. Raises ApiError."""
    found = {}
    for pod in await broken_pods(pods, workload, failed=failed):
        name = pod["metadata"]["name"]
        if held_back(workload, pod):
            continue  # would come back just as it is
        found[name] = False
        if planning or update_type(workload) == ON_DELETE:
            continue
        try:
            await pods.client.delete(PODS, pod)
            found[name] = True
        except errors.ApiError as error:
            fields = {"workload": str(key_of(workload)), "pod": name, "error": str(error)}
            log.warning("pod not deleted", extra=fields)
    return found


async def broken_pods(pods: Pods, workload: JSON, *, failed: bool) -> list[JSON]:
    """Return the pods that carry what their workload does not any more, and do not run."""
    found = await pods.listed(PODS, workload, workload["spec"]["selector"], AT_MOST, old(workload))
    return [
        pod
        for pod in found
        if owned_by(pod, workload["metadata"]["uid"])
        and not pod["metadata"].get("deletionTimestamp")
        and carries({"spec": {"template": pod}})
        and broken(pod, judged=failed)
    ]


def held_back(workload: JSON, pod: JSON) -> bool:
    """Tell whether a pod is below its StatefulSet's partition, so that its successor would have the old template, too."""
    ordinal = pod["metadata"]["name"].rpartition("-")[2]
    first = (workload["spec"].get("ordinals") or {}).get("start") or 0
    return ordinal.isdecimal() and int(ordinal) < first + partition(workload)


def old(workload: JSON) -> str:
    """Return the term that keeps pods of the present template out of a list, where the workload's status names that."""
    revision = (workload.get("status") or {}).get("updateRevision")
    return f"{kind_of(workload).hash_label}!={revision}" if revision else ""
