"""Puts the parts together and runs them: caches, queues, controllers, kopf, proof, health.

Nothing is decided before every cache is complete. If any part ends, all end and the process with them: a pod restart is
cheap and writes nothing, half an operator is neither.
With an elector, caches are kept complete while another process leads, and nothing else is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from grpctracing import telemetry
from grpctracing.controllers import perseverance
from grpctracing.controllers.admission import Admission
from grpctracing.controllers.board import Board
from grpctracing.controllers.collector import OwnedObjects
from grpctracing.controllers.discovery import Discovery
from grpctracing.controllers.finalizer import Finalizers
from grpctracing.controllers.handover import Handover
from grpctracing.controllers.memory import records
from grpctracing.controllers.ownership import is_own, owner_of
from grpctracing.controllers.pods import Pods
from grpctracing.controllers.preflight import Preflight
from grpctracing.controllers.proof import Proof
from grpctracing.controllers.shard import Shard
from grpctracing.controllers.status import StatusController
from grpctracing.controllers.tracing import TracingController
from grpctracing.controllers.transitions import Transitions
from grpctracing.controllers.workload import WorkloadController
from grpctracing.controllers.world import World
from grpctracing.injection.concern import untouched
from grpctracing.kube.apply import OWNED_SELECTOR
from grpctracing.kube.events import Recorder
from grpctracing.kube.informer import PAGE, Informer
from grpctracing.kube.lease import Lost
from grpctracing.kube.part import anywhere
from grpctracing.kube.queue import Queue
from grpctracing.kube.resources import CONFIG_MAPS, GRPC_TRACINGS, OWNED, WORKLOADS, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping

    from grpctracing.controllers.handover import Controller
    from grpctracing.kube.client import Client
    from grpctracing.kube.lease import Elector
    from grpctracing.kube.neighbours import Neighbours
    from grpctracing.kube.resources import JSON, Resource
    from grpctracing.kube.store import Store
    from grpctracing.settings import Settings

log = logging.getLogger(__name__)

ASKED_BY: Final = ("uid", "generation", "labels", "annotations")
"""What of a workload's metadata changes when its user asks for something; its status and managedFields change all through a rollout."""

SILENT: Final = 600.0
"""Seconds without a word from the API server on any watch after which this process is better begun anew."""

STOP_SECONDS: Final = 1.5
"""How long kopf and what is being written may take to end, of the two seconds in which a successor is to have the Lease."""


class Engine:
    """The running operator; *payload* is the bootstrap by flat key, without *elector* and *neighbours* it works alone."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        payload: Mapping[str, str],
        elector: Elector | None = None,
        neighbours: Neighbours | None = None,
    ) -> None:
        self.client = client
        self.elector = elector
        self._working = False
        self.neighbours = neighbours
        self.settings = settings
        self.world = World()
        self.tracing_queue, self.workload_queue, self.status_queue = (
            Queue("tracing"),
            Queue("workload"),
            Queue("status"),
        )
        self.shard = (
            Shard(client, selector, settings.resync_seconds) if (selector := settings.namespace_selector) else None
        )
        ours = self.shard.has if self.shard is not None else anywhere
        self.queues = (self.tracing_queue, self.workload_queue, self.status_queue)
        self.recorder = Recorder(client)
        self.board = Board(changed=self.status_queue.add)
        self.proof = Proof(
            self.world, settings.proof_url, settings.proof_seconds, self.workload_queue.add, Pods(client)
        )
        self.preflight = Preflight(
            client, self.world, payload, self.workload_queue.add, settings.watch_namespaces, ours
        )
        self.admission = Admission(client, self.world, cluster_wide=not settings.watch_namespaces, ours=ours)
        self.discovery = Discovery(client, self.world, self.preflight, self.admission.in_force, ours)
        self.workloads = WorkloadController(
            client,
            self.world,
            self.board,
            self.proof,
            Transitions(self.recorder),
            payload,
            self.preflight,
            ours,
            memory_changed=self.tracing_queue.add,
        )
        self.tracings = TracingController(
            self.world,
            self.board,
            OwnedObjects(client, self.world, payload, settings.collector_image),
            self.admission,
            look=self.workload_queue.add,
            remembered=self.workloads.memory.of,
            finalizers=Finalizers(client, self.world) if self.shard is not None else None,
        )
        self.status = StatusController(client, self.world, self.board, self.recorder)
        self.informers = list(self._informers())
        self.handover = self._handed_over()
        self._listen()

    async def run(self, stop: asyncio.Event) -> None:
        """Run until *stop* is set; raises what ended a part that should not have ended."""
        runner = await telemetry.serve(self.settings.http_port, alive=self.trouble, ready=self.unready)
        parts = [
            asyncio.create_task(self._follow(informer), name=informer.resource.plural) for informer in self.informers
        ]
        if self.shard is not None:
            parts.append(asyncio.create_task(self.shard.work(), name="shard"))
        stopping = asyncio.create_task(stop.wait(), name="stop")
        turn = asyncio.create_task(self._turn(), name="turn")
        stop_kopf = asyncio.Event()
        try:
            await asyncio.wait([stopping, turn, *parts], return_when=asyncio.FIRST_COMPLETED)
            if turn.done():
                turn.result()
                telemetry.LEADER.set(1)
                self._working = True
                parts += [asyncio.create_task(work, name=name) for name, work in self._work().items()]
                kopf = asyncio.create_task(self._kopf(stop_kopf, stop), name="kopf")
                parts.append(kopf)
                await asyncio.wait([stopping, *parts], return_when=asyncio.FIRST_COMPLETED)
                telemetry.LEADER.set(0)
                stop_kopf.set()
                await self._finish(kopf)
            for part in parts:
                if part.done() and not part.cancelled() and (error := part.exception()) is not None:
                    raise error
            if not stopping.done():
                ended = [part.get_name() for part in parts if part.done()]
                raise RuntimeError(f"a part of the operator ended by itself: {', '.join(ended)}")
        finally:
            for task in (stopping, turn, *parts):
                task.cancel()
            await asyncio.gather(stopping, turn, *parts, return_exceptions=True)
            if self.elector is not None:
                await self.elector.release()
            await runner.cleanup()

    async def _finish(self, kopf: asyncio.Task[None]) -> None:
        """Wait until what is being written is written, and for kopf; what takes longer is cancelled."""
        for queue in self.queues:
            queue.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.wait([kopf])
                for queue in self.queues:
                    await queue.finish()

    def trouble(self) -> str | None:
        """Return why this process should be replaced, or None."""
        now = asyncio.get_running_loop().time()
        heard = [informer.heard for informer in self.informers if informer.synced.is_set()]
        if heard and now - max(heard) > SILENT:
            return f"no word from the API server for {now - max(heard):.0f} s"
        return None

    def unready(self) -> str | None:
        """Return what the operator still waits for, or None."""
        waiting = sorted({informer.resource.plural for informer in self.informers if not informer.synced.is_set()})
        if waiting:
            return f"waiting for {', '.join(waiting)}"
        if self.neighbours is not None and self.neighbours.trouble is not None:
            return self.neighbours.trouble
        return self.elector.trouble if self.elector is not None else None

    def idle(self) -> bool:
        """Tell whether nothing is queued or being worked on."""
        return all(queue.idle() for queue in self.queues)

    def _informers(self) -> Iterator[Informer]:
        for namespace in self.settings.watch_namespaces or (None,):
            for resource in WORKLOADS:
                yield self._informer(resource, self.world.workloads[resource.kind], namespace)
            yield self._informer(GRPC_TRACINGS, self.world.tracings, namespace)
            for resource in OWNED:
                yield self._informer(resource, self.world.owned[resource.kind], namespace, OWNED_SELECTOR)

    async def _follow(self, informer: Informer) -> None:
        """Run an informer; which namespaces are ours has to be known before anything in them is listed."""
        if self.shard is not None and informer is not self.shard.namespaces:
            await self.shard.namespaces.synced.wait()
        await informer.run()

    def _informer(self, resource: Resource, store: Store, namespace: str | None, selector: str = "") -> Informer:
        return Informer(
            self.client,
            resource,
            store,
            namespace=namespace,
            selector=selector,
            page=20 if resource is CONFIG_MAPS else PAGE,  # a quarter of a MiB each
            resync=self.settings.resync_seconds,
        )

    def _listen(self) -> None:
        for store in self.world.workloads.values():
            store.listen(self._workload_changed)
        self.world.tracings.listen(self._tracing_changed)
        for store in self.world.owned.values():
            store.listen(self._owned_changed)

    def _workload_changed(self, key: Key, before: JSON | None, after: JSON | None) -> None:
        if is_own(after or before or {}):
            self._owned_changed(key, before, after)
            return
        tracings = self.world.tracings.in_namespace(key.namespace)
        if after is not None and not tracings and not self.board.has_verdict(key) and untouched(after):
            self.board.pass_over(key)  # once there is a GrpcTracing, `_tracing_changed` has it looked at
            return
        self.workload_queue.add(key, backlog=not (self._working and is_change(before, after)))
        for tracing in tracings:
            # Its policy goes by the images that there are.
            if records(tracing) or self.workloads.memory.of(key_of(tracing)):
                self.tracing_queue.add(key_of(tracing))

    def _owned_changed(self, key: Key, before: JSON | None, after: JSON | None) -> None:
        obj = after or before
        if obj is not None and is_own(obj):
            self.tracing_queue.add(owner_of(obj))
        if after is None:
            # A name has become free: another object of the namespace may have waited for it.
            for tracing in self.world.tracings.in_namespace(key.namespace):
                self.tracing_queue.add(key_of(tracing))

    def _tracing_changed(self, key: Key, before: JSON | None, after: JSON | None) -> None:
        self.tracing_queue.add(key)
        self.status_queue.add(key)
        if substance(before) != substance(after):
            self.board.reconsider(key.namespace)
            for sibling in self.world.tracings.in_namespace(key.namespace):
                self.tracing_queue.add(key_of(sibling))
            for workload in self.world.workloads_in(key.namespace):
                self.workload_queue.add(workload, backlog=True)

    def _handed_over(self) -> Handover | None:
        """Return what sees to namespaces that come and go by their labels; None where there are no others' namespaces."""
        if self.shard is None:
            return None
        self.client.may_write_in = self.shard.has
        handover = Handover(
            self.world,
            self.board,
            self.workloads.memory,
            self.admission,
            self.preflight,
            self.tracing_queue,
            self.workload_queue,
            self.status_queue,
        )
        self.shard.follow(self.informers, handover)
        self.informers.append(self.shard.namespaces)
        return handover

    def _ours(self, controller: Controller) -> Callable[[Key], Awaitable[float | None]]:
        """Return the *controller*'s work, in namespaces of ours."""
        if self.shard is None or self.handover is None:
            return controller.reconcile
        return self.handover.guarded(controller, self.shard)

    def _work(self) -> dict[str, Coroutine[None, None, None]]:
        workers = self.settings.workers
        return {
            "tracing": self.tracing_queue.work(self._ours(self.tracings), workers),
            "workload": self.workload_queue.work(self._ours(self.workloads), workers),
            "status": self.status_queue.work(self._ours(self.status), 1),
            "admission": self.admission.run(),
            "preflight": self.preflight.work(),
            "preflight sweep": self.preflight.sweep(),
            "events": self.recorder.run(),
            **({} if self.settings.watch_namespaces else {"discovery": self.discovery.run()}),
            **({"lease": self.elector.keep()} if self.elector is not None else {}),
            **({"proof": self.proof.run()} if self.settings.proof_seconds else {}),
        }

    async def _kopf(self, stop: asyncio.Event, interrupted: asyncio.Event) -> None:
        if self.shard is not None:  # see controllers/finalizer.py
            await stop.wait()
            return
        await perseverance.run(
            self.client,
            self.settings.watch_namespaces,
            look=self.tracing_queue.add,
            left=self.tracings.left,
            stop=stop,
            interrupted=interrupted,
        )

    async def _turn(self) -> None:
        """Return when it is this process's turn to work: caches complete, nobody else there before us, Lease held."""
        for informer in self.informers:
            await informer.synced.wait()
        if self.shard is not None:
            self.shard.begin()
        workloads = {resource.plural: len(self.world.workloads[resource.kind]) for resource in WORKLOADS}
        log.info("synced", extra={**workloads, "tracings": len(self.world.tracings)})
        if self.neighbours is not None:
            await self.neighbours.give_way()
        if self.elector is not None:
            await self.elector.acquire()
        if self.neighbours is not None:
            try:
                async with asyncio.timeout(self.settings.lease_seconds):
                    await self.neighbours.insist()
            except TimeoutError:
                log.error("stopping: the Lease ran out before it was known whether another operator is there")  # noqa: TRY400
                raise Lost from None


def is_change(before: JSON | None, after: JSON | None) -> bool:
    """Tell whether a user may have changed a workload: a resync is none, nor is what its controller says of its pods."""
    if before is None or after is None:
        return True
    return any(before["metadata"].get(part) != after["metadata"].get(part) for part in ASKED_BY)


def substance(obj: JSON | None) -> tuple[object, ...] | None:
    """Return what of a GrpcTracing its workloads depend on: not its status."""
    if obj is None:
        return None
    metadata = obj["metadata"]
    return metadata["uid"], metadata.get("generation"), metadata.get("deletionTimestamp")
