"""What stands in for a node: it answers for preflight pods, as the kubelet would write it into their status."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grpctracing.kube import errors
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import PODS

if TYPE_CHECKING:
    from grpctracing.kube.client import Client

GRPC = {
    "version": 1,
    "python": "3.11.9",
    "grpcio": "1.60.0",
    "elsewhere": None,
    "agents": {},
    "pythonpath": "",
    "variables": [],
}
NOT_FOUND = 'exec: "python3": executable file not found in $PATH: unknown'


def says(**changes: Any) -> dict[str, Any]:
    """A container that ended with a report."""
    return {"terminated": {"exitCode": 0, "reason": "Completed", "message": json.dumps({**GRPC, **changes})}}


def missing() -> dict[str, Any]:
    """A container whose interpreter does not exist."""
    return {"terminated": {"exitCode": 128, "reason": "StartError", "message": NOT_FOUND}}


def waits(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": "as told by the runtime"}}


@dataclass
class Kubelet:
    """Answers for the pods of a namespace by *images*: image → state of its containers; an unknown image says nothing.

    *seen* are the names of all pods that there were, *most* how many there were at once.
    """

    client: Client
    namespace: str
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    most: int = 0

    async def run(self) -> None:
        while True:
            pods = await self.client.list(PODS, self.namespace)
            self.most = max(self.most, len(pods))
            for pod in pods:
                self.seen.add(pod["metadata"]["name"])
                self.uids.add(pod["metadata"]["uid"])
                if not pod["status"].get("containerStatuses"):
                    await self._answer(pod)
            await asyncio.sleep(0.05)

    async def _answer(self, pod: dict[str, Any]) -> None:
        containers = pod["spec"]["containers"]
        state = self.images.get(containers[0]["image"])
        if state is None:
            return
        told = [
            {
                "name": each["name"],
                "image": each["image"],
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": state,
            }
            for each in containers
        ]
        phase = "Pending" if "waiting" in state else "Succeeded"
        path = PODS.path(self.namespace, pod["metadata"]["name"], "status")
        with contextlib.suppress(errors.NotFound):
            body = {"status": {"phase": phase, "containerStatuses": told}}
            await self.client._json("PATCH", path, query={"fieldManager": "kubelet"}, body=body, content_type=MERGE)
