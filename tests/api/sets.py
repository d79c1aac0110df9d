"""What stands in for the controllers of StatefulSets and DaemonSets: their statuses, revisions and pods, as a test wants them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grpctracing.kube import errors
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import CONTROLLER_REVISIONS, DAEMON_SETS, PODS, STATEFUL_SETS, key_of
from tests.api.running import deployment, env_of, owned_by

if TYPE_CHECKING:
    from grpctracing.kube.client import Client

PODS_OF_EACH = 3
HASH = "controller-revision-hash"


def stateful_set(name: str, **spec: Any) -> dict[str, Any]:
    made = with_image(deployment(name), f"registry.invalid/{name}-set:1")
    return made | {
        "kind": "StatefulSet",
        "spec": made["spec"] | {"replicas": PODS_OF_EACH, "serviceName": name, "volumeClaimTemplates": [CLAIM], **spec},
    }


def daemon_set(name: str, **spec: Any) -> dict[str, Any]:
    made = with_image(deployment(name), f"registry.invalid/{name}-agent:1")
    del made["spec"]["replicas"]
    return made | {"kind": "DaemonSet", "spec": made["spec"] | spec}


def with_image(workload: dict[str, Any], image: str) -> dict[str, Any]:
    """An image of its own: of those that share one, the first goes alone."""
    workload["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return workload


CLAIM = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


@dataclass
class Sets:
    """Completes every rollout of a namespace at once, as far as the update strategy lets it; with exceptions.

    *broken* are labels of those whose first new pod crashes while they carry the injection. As with the real controller, a
    StatefulSet then stands still, with its old template too, until somebody deletes that pod.
    """

    client: Client
    namespace: str
    broken: set[str] = field(default_factory=set)
    first: dict[str, str] = field(default_factory=dict)
    """The template that each had when it was first seen: what its pods are of, until the strategy lets them be replaced."""

    async def run(self) -> None:
        while True:
            for resource in (STATEFUL_SETS, DAEMON_SETS):
                for live in await self.client.list(resource, self.namespace):
                    live |= {"kind": resource.kind, "apiVersion": resource.api_version}
                    with contextlib.suppress(errors.NotFound):
                        await self._complete(live)
            await asyncio.sleep(0.1)

    async def _complete(self, live: dict[str, Any]) -> None:
        label = key_of(live).label
        template = json.dumps(live["spec"]["template"], sort_keys=True)
        desired = live["spec"].get("replicas", PODS_OF_EACH)
        strategy = live["spec"]["updateStrategy"]
        held = desired if strategy["type"] == "OnDelete" else strategy.get("rollingUpdate", {}).get("partition", 0)
        updated = desired - (held if template != self.first.setdefault(label, template) else 0)
        available = desired
        crashed = await self._crashed(live, desired - 1)
        if label in self.broken and "GRPCTRACING_POD_NAME" in env_of(live):
            await self._crash(live, desired - 1, "injected")
            updated, available = 1, desired - 1
        elif crashed and live["kind"] == "StatefulSet":
            updated, available = desired - 1, desired - 1
        await self._say(live, desired, updated, available)

    async def _say(self, live: dict[str, Any], desired: int, updated: int, available: int) -> None:
        status: dict[str, Any] = {"observedGeneration": live["metadata"]["generation"]}
        if live["kind"] == "StatefulSet":
            status |= {"replicas": desired, "updatedReplicas": updated, "availableReplicas": available}
            status |= {"readyReplicas": available, "updateRevision": self._revision(live)}
        else:
            status |= {"desiredNumberScheduled": desired, "currentNumberScheduled": desired, "numberMisscheduled": 0}
            status |= {"updatedNumberScheduled": updated, "numberReady": available, "numberAvailable": available}
        before = live.get("status") or {}
        if any(before.get(name, 0) != value for name, value in status.items()):
            resource = STATEFUL_SETS if live["kind"] == "StatefulSet" else DAEMON_SETS
            path = resource.path(self.namespace, live["metadata"]["name"], "status")
            query = {"fieldManager": "controller-manager"}
            await self.client._json("PATCH", path, query=query, body={"status": status}, content_type=MERGE)

    def _revision(self, live: dict[str, Any]) -> str:
        which = "injected" if "GRPCTRACING_POD_NAME" in env_of(live) else "plain"
        return f"{live['metadata']['name']}-{which}"

    async def _crashed(self, live: dict[str, Any], ordinal: int) -> dict[str, Any] | None:
        try:
            return await self.client.get(PODS, self.namespace, f"{live['metadata']['name']}-{ordinal}")
        except errors.NotFound:
            return None

    async def _crash(self, live: dict[str, Any], ordinal: int, which: str) -> None:
        """Make what the controllers and the kubelet would: a revision of the present template, a pod that crashes."""
        if await self._crashed(live, ordinal):
            return
        name, template = live["metadata"]["name"], live["spec"]["template"]
        labels = template["metadata"]["labels"]
        value = f"{name}-{which}" if live["kind"] == "StatefulSet" else which
        revision = {
            "metadata": {
                "name": f"{name}-{which}",
                "labels": {**labels, HASH: value},
                "ownerReferences": [owned_by(live)],
            },
            "data": {"spec": {"template": template}},
            "revision": live["metadata"]["generation"],
        }
        with contextlib.suppress(errors.Conflict):
            await self.client.create(CONTROLLER_REVISIONS, self.namespace, revision)
        metadata = {"name": f"{name}-{ordinal}", "labels": {**labels, HASH: value}, "ownerReferences": [owned_by(live)]}
        # No admission plug-in of this API server makes the account that a pod runs as.
        spec = template["spec"] | {"automountServiceAccountToken": False}
        await self.client.create(PODS, self.namespace, {"metadata": metadata, "spec": spec})
        ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
        container = {"name": "app", "image": "x", "imageID": "x", "restartCount": 4, "ready": False, "lastState": ended}
        container["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
        conditions = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]
        body = {"status": {"phase": "Running", "conditions": conditions, "containerStatuses": [container]}}
        path = PODS.path(self.namespace, f"{name}-{ordinal}", "status")
        await self.client._json("PATCH", path, query={"fieldManager": "kubelet"}, body=body, content_type=MERGE)
