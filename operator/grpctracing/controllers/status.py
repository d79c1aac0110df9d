"""Writes the status of GrpcTracings: only what changed, and at most once in two seconds per object."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from grpctracing.controllers.conditions import status
from grpctracing.kube import errors
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import GRPC_TRACINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpctracing.controllers.board import Board
    from grpctracing.controllers.world import World
    from grpctracing.kube.client import Client
    from grpctracing.kube.events import Recorder
    from grpctracing.kube.resources import JSON, Key

INTERVAL: Final = 2.0
FIRST_LOOK: Final = 0.2
WORTH_AN_EVENT: Final = frozenset({"Ready", "CollectorReady", "Degraded"})


@dataclass(slots=True)
class StatusController:
    """Reconciles statuses from the board."""

    client: Client
    world: World
    board: Board
    recorder: Recorder
    clock: Callable[[], float] = time.monotonic
    _written: dict[Key, float] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> float | None:
        """Bring the status of one GrpcTracing to what the board says; return when to come back."""
        obj = self.world.tracings.get(key)
        facts = self.board.facts.get(key)
        if obj is None:
            self.forget(key)
            return None
        surveyed = self.board.surveyed(key.namespace, self.world.workloads_in(key.namespace))
        if facts is None or not (surveyed or facts.undecided):
            return FIRST_LOOK  # half a status after a restart would be a lie about the other half
        wait = self._written.get(key, -INTERVAL) + INTERVAL - self.clock()
        if wait > 0:
            return wait
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        wanted = status(obj, facts, self.board.workloads(key), now)
        # `reverted` belongs to Memory: what a merge patch does not name, it leaves alone.
        before = {name: value for name, value in (obj.get("status") or {}).items() if name != "reverted"}
        if before == wanted:
            return None
        body = {"metadata": {"uid": obj["metadata"]["uid"]}, "status": wanted}
        try:
            written = await self.client.patch(
                GRPC_TRACINGS, key.namespace, key.name, body, kind=MERGE, subresource="status"
            )
        except errors.NotFound:
            return None
        self._written[key] = self.clock()  # a write that failed does not count: the queue's growing pauses rule then
        self.world.tracings.put(written)
        self._announce(written, before, wanted)
        return None

    def forget(self, key: Key) -> None:
        """Drop what is known of a GrpcTracing that is gone."""
        self._written.pop(key, None)

    def _announce(self, obj: JSON, before: JSON, now: JSON) -> None:
        """Post an event for each condition that has turned since the object's first status."""
        told = {condition["type"]: condition["status"] for condition in before.get("conditions") or ()}
        for condition in now["conditions"]:
            kind = condition["type"]
            if kind in WORTH_AN_EVENT and kind in told and told[kind] != condition["status"]:
                good = condition["status"] == ("False" if kind == "Degraded" else "True")
                message = f"{kind} is now {condition['status']}. {condition['message']}".strip()
                self.recorder.event(obj, "Normal" if good else "Warning", condition["reason"], message)
