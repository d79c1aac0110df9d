"""What the controllers do when a namespace becomes another operator's, or ours: forget it, or look at all of it.

Neither writes anything. A key that is being worked on comes to its end before it is forgotten, for that is how queues are, and
what it would still write is not sent (`Client.may_write_in`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from grpctracing.kube.resources import key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from grpctracing.controllers.admission import Admission
    from grpctracing.controllers.board import Board
    from grpctracing.controllers.memory import Memory
    from grpctracing.controllers.preflight import Preflight
    from grpctracing.controllers.shard import Shard
    from grpctracing.controllers.world import World
    from grpctracing.kube.queue import Queue
    from grpctracing.kube.resources import Key


class Controller(Protocol):
    """Reconciles keys, and can forget them."""

    async def reconcile(self, key: Key) -> float | None:
        """Bring one object to what it should be; return when to come back."""

    def forget(self, key: Key) -> None:
        """Drop what is known of it."""


@dataclass(slots=True)
class Handover:
    """Hears of namespaces from the shard."""

    world: World
    board: Board
    memory: Memory
    admission: Admission
    preflight: Preflight
    tracings: Queue
    workloads: Queue
    statuses: Queue

    async def came(self, namespace: str) -> None:
        """Look at all of a namespace, and at what its operator before may have left."""
        self.admission.sweep_again()
        for store in self.world.stores:
            for key in store.keys(namespace):
                store.announce(key)
        if self.preflight.client.may_write():  # who stands by does not
            await self.preflight.sweep_in(namespace)

    def left(self, namespace: str) -> None:
        """Forget a namespace, each of its objects by itself."""
        for tracing in map(key_of, self.world.tracings.in_namespace(namespace)):
            self.tracings.add(tracing)
            self.statuses.add(tracing)
        for workload in self.world.workloads_in(namespace):
            self.workloads.add(workload, backlog=True)
        self.world.drop(namespace)
        self.board.leave(namespace)
        self.memory.leave(namespace)

    def guarded(self, controller: Controller, shard: Shard) -> Callable[[Key], Awaitable[float | None]]:
        """Return what reconciles the keys of namespaces that are ours, and forgets others."""

        async def work(key: Key) -> float | None:
            if shard.has(key.namespace):
                return await controller.reconcile(key)
            if not shard.keeps(key.namespace):
                self.left(key.namespace)  # what was under way has put back what it wrote, and what that was said of it
            controller.forget(key)
            return None

        return work
