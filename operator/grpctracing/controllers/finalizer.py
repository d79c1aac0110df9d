"""Our finalizer on a GrpcTracing, where several operators share the cluster and each has some of its namespaces.

Everywhere else kopf puts it on and takes it off. But kopf knows no namespaces by their labels: it would see all objects, and it
takes the finalizer off each that no handler asks for, so those of the other operators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grpctracing.controllers.lifecycle import FINALIZER
from grpctracing.kube import errors
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import GRPC_TRACINGS, key_of

if TYPE_CHECKING:
    from grpctracing.controllers.world import World
    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON


@dataclass(slots=True)
class Finalizers:
    """Writes the list of finalizers; the version that it was read in guards what others have put there. Raises ApiError."""

    client: Client
    world: World

    async def put_on(self, obj: JSON) -> None:
        """Have *obj* wait for us when it is deleted; nothing is sent where it does already."""
        before = obj["metadata"].get("finalizers") or []
        if FINALIZER not in before:
            await self._write(obj, [*before, FINALIZER])

    async def take_off(self, obj: JSON) -> None:
        """Let *obj* go."""
        before = obj["metadata"].get("finalizers") or []
        if FINALIZER in before:
            await self._write(obj, [name for name in before if name != FINALIZER])

    async def _write(self, obj: JSON, finalizers: list[str]) -> None:
        metadata, key = obj["metadata"], key_of(obj)
        guarded = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"], "finalizers": finalizers}
        try:
            written = await self.client.patch(GRPC_TRACINGS, key.namespace, key.name, {"metadata": guarded}, kind=MERGE)
        except errors.NotFound:
            return  # its news is on the way
        if finalizers or not metadata.get("deletionTimestamp"):
            self.world.tracings.put(written)
