"""GrpcTracing objects: what they own while they live, and the way back before they go."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from grpctracing.controllers import payload
from grpctracing.controllers.admission import NAMESPACED, NOT_PERMITTED, NOT_SERVED
from grpctracing.controllers.board import UNREADABLE, Facts
from grpctracing.controllers.world import Unreadable
from grpctracing.injection import Action, Seen, decide
from grpctracing.injection.failed import still_failed
from grpctracing.kube import errors
from grpctracing.kube.resources import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grpctracing.api import GrpcTracing, Reverted
    from grpctracing.controllers.admission import Admission
    from grpctracing.controllers.board import Board
    from grpctracing.controllers.collector import OwnedObjects
    from grpctracing.controllers.finalizer import Finalizers
    from grpctracing.controllers.world import World
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

LEAVING_SECONDS: Final = 1.0
TAKEN_SECONDS: Final = 10.0
"""How often a taken name is looked at again: no watch shows what is not ours."""
MISSING_SECONDS: Final = 60.0
"""How often a missing right or API is looked for again."""
NAMED: Final = 5
"""How many workloads a message names."""


@dataclass(slots=True)
class TracingController:
    """Reconciles GrpcTracings; *look* has a workload looked at, *remembered* returns what has failed with a GrpcTracing, by label.

    Without *finalizers* it is kopf that sees to those.
    """

    world: World
    board: Board
    owned: OwnedObjects
    admission: Admission
    look: Callable[[Key], None]
    remembered: Callable[[Key], Mapping[str, Reverted]]
    finalizers: Finalizers | None = None
    _leaving: dict[str, asyncio.Event] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> float | None:
        """Bring what a GrpcTracing owns to what it should be. Idempotent; called with a key, never with an event."""
        obj = self.world.tracings.get(key)
        if obj is not None and obj["metadata"].get("deletionTimestamp"):
            return await self._leave(key, obj)
        try:
            tracing = self.world.tracing(key)
        except Unreadable as error:
            self.board.found(key, Facts(None, ("Unknown", ""), unreadable(error)))
            return None
        if obj is None or tracing is None:
            # Deleted without our finalizer (by hand, or before we had put it there): the same way back.
            self.board.drop(key)
            await self.admission.remove(key)
            return None if await self.owned.remove(key) else LEAVING_SECONDS
        try:
            await self._finalize(obj)
            facts = await self.owned.ensure(tracing)
            facts = await self._admit(tracing, facts)
        except errors.ApiError as error:
            if error.is_refusal:
                self.board.found(key, Facts(False, ("Refused", ""), ("Refused", str(error)[:1000])))  # noqa: FBT003 - the condition's status
            raise
        before = self.board.facts.get(key)
        self.board.found(key, facts)
        if facts.policy and not (before and before.policy):
            for workload in self.world.workloads_in(key.namespace):  # they have waited for it
                self.look(workload)
        if settling := self.admission.settling(key):
            return settling
        troubles = {facts.collector[0], *(facts.trouble or ())}
        if troubles & {NAMESPACED[0], NOT_SERVED[0], NOT_PERMITTED[0]}:
            return MISSING_SECONDS
        return TAKEN_SECONDS if "NameTaken" in troubles else None

    async def _finalize(self, obj: JSON) -> None:
        if self.finalizers is not None:
            await self.finalizers.put_on(obj)

    async def _admit(self, tracing: GrpcTracing, facts: Facts) -> Facts:
        try:
            tracings = self.world.tracings_in(tracing.metadata.namespace)
        except Unreadable as error:  # another one: nothing of the namespace is decided about meanwhile
            key = Key(tracing.metadata.namespace, tracing.metadata.name)
            return replace(facts, policy=self.admission.in_force(key), trouble=facts.trouble or unreadable(error))
        living = [other for other in tracings if other.metadata.deletion_timestamp is None]
        namespace, name = tracing.metadata.namespace, tracing.metadata.name
        remembered = self.remembered(Key(namespace, name))
        # read only where it matters: they are packed
        workloads = (obj for store in self.world.workloads.values() for obj in store.in_namespace(namespace))
        failed = still_failed(remembered.values(), workloads, payload.digest(self.owned.payload)) if remembered else ()
        return await self.admission.ensure(tracing, living, facts, failed)

    async def left(self, key: Key, uid: str) -> None:
        """Wait until a GrpcTracing that is being deleted has left nothing behind."""
        event = self._leaving.setdefault(uid, asyncio.Event())
        await event.wait()
        del self._leaving[uid]
        log.info("left", extra={"tracing": str(key)})

    def forget(self, key: Key) -> None:
        """Drop what is known of a GrpcTracing that another operator looks after from now on."""
        self.board.drop(key)
        self.admission.forget(key)

    async def _leave(self, key: Key, obj: JSON) -> float | None:
        """Have every workload brought back, then remove what is owned, then let the object go."""
        # First: what is reverted now must not come back by the other way.
        if not await self.admission.sweep():
            return TAKEN_SECONDS
        await self.admission.remove(key)
        try:
            waiting = self._still_injected(key.namespace)
        except Unreadable as error:
            self.board.found(key, Facts(None, ("Leaving", ""), unreadable(error)))
            return TAKEN_SECONDS
        for workload in waiting:
            self.look(workload)
        if waiting:
            names = ", ".join(workload.label for workload in waiting[:NAMED])
            more = f" and {len(waiting) - NAMED} more" if len(waiting) > NAMED else ""
            message = f"Being deleted; waits until {names}{more} {'is' if len(waiting) == 1 else 'are'} reverted."
            self.board.found(key, Facts(None, ("Leaving", ""), ("Reverting", message)))
            return LEAVING_SECONDS
        if not await self.owned.remove(key):
            return LEAVING_SECONDS
        if self.finalizers is not None:
            await self.finalizers.take_off(obj)
        else:
            self._leaving.setdefault(obj["metadata"]["uid"], asyncio.Event()).set()
        return None

    def _still_injected(self, namespace: str) -> list[Key]:
        tracings = self.world.tracings_in(namespace)
        found = []
        for workload in self.world.workloads_in(namespace):
            obj = self.world.of(workload).get(workload)
            if obj is not None and decide(Seen(obj, tracings)).action is Action.REVERT:
                found.append(workload)
        return found


def unreadable(error: Unreadable) -> tuple[str, str]:
    """Return the trouble that an object which can't be understood is to its whole namespace."""
    return UNREADABLE, f"{error}. No workload of this namespace is changed until it is readable or deleted."[:1000]
