"""What stands in for the nodes of a namespace: pods that its controllers have made begin to run, or crash, at once."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grpctracing.kube import errors
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import PODS
from tests.api.admission import env_of

if TYPE_CHECKING:
    from grpctracing.kube.client import Client


@dataclass
class Nodes:
    """Runs pods; *crashing* are values of the label `app` of those that crash while they carry the injection."""

    client: Client
    namespace: str
    crashing: set[str] = field(default_factory=set)

    async def run(self) -> None:
        while True:
            for pod in await self.client.list(PODS, self.namespace):
                if not pod["status"].get("containerStatuses"):
                    await self._start(pod)
            await asyncio.sleep(0.1)

    async def _start(self, pod: dict[str, Any]) -> None:
        crashes = carries(pod) and pod["metadata"]["labels"].get("app") in self.crashing
        ended = {"terminated": {"exitCode": 3, "reason": "Error"}}
        waits = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
        running = {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}}
        state = (
            {"restartCount": 4, "lastState": ended, "state": waits}
            if crashes
            else {"restartCount": 0, "state": running}
        )
        container = {"name": "app", "image": "x", "imageID": "x", "ready": not crashes, **state}
        ready = {
            "type": "Ready",
            "status": str(not crashes),
            "lastTransitionTime": pod["metadata"]["creationTimestamp"],
        }
        body = {"status": {"phase": "Running", "conditions": [ready], "containerStatuses": [container]}}
        path = PODS.path(self.namespace, pod["metadata"]["name"], "status")
        with contextlib.suppress(errors.NotFound):
            await self.client._json("PATCH", path, query={"fieldManager": "kubelet"}, body=body, content_type=MERGE)


def carries(pod: dict[str, Any]) -> bool:
    return "GRPCTRACING_POD_NAME" in env_of(pod)
