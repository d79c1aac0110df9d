"""Preflight pods: made for images that nobody has looked into, a few at a time, read, deleted; what they found is kept.

A job is level-triggered like everything here: each look at it makes the pod, reads it, or ends it. Reports are kept in a
ConfigMap and survive the operator; failures in memory, until it is worth another try.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from grpctracing import telemetry
from grpctracing.controllers.ownership import controllers, is_own
from grpctracing.controllers.world import Unreadable
from grpctracing.injection import findings, probing, records
from grpctracing.injection.admitted import ADMISSION
from grpctracing.injection.findings import Failure, Report
from grpctracing.injection.names import PYTHONPATH
from grpctracing.kube import errors
from grpctracing.kube.apply import NameTaken, ensure, find
from grpctracing.kube.part import anywhere
from grpctracing.kube.queue import Queue
from grpctracing.kube.resources import CONFIG_MAPS, PODS, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.controllers.world import World
    from grpctracing.injection.findings import Finding
    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

AT_ONCE: Final = 3
POLL_SECONDS: Final = 0.5
BOOTSTRAP_SECONDS: Final = 1.0
PATIENCE: Final = probing.DEADLINE + 30.0
"""Seconds for a pod from its creation: what is never scheduled never meets its own deadline."""
RETRY_SECONDS: Final = 3600.0
RETRY_PULL_SECONDS: Final = 300.0
REMEMBERED: Final = 5000
SELECTOR: Final = ",".join(
    f"{name}={value}" for name, value in (*probing.COMPONENT.items(), ("app.kubernetes.io/managed-by", "grpctracing"))
)


@dataclass(slots=True)
class Job:
    """One image to look into, for the GrpcTracing *tracing*; *waiting* want to hear of it. *since*: when its pod was made."""

    tracing: Key
    image: str
    pod: JSON
    waiting: set[Key]
    since: float | None = None


@dataclass(slots=True)
class Preflight:
    """Knows what was found and finds out the rest, with the *bootstrap* of this release; *look* has a workload looked at again."""

    client: Client
    world: World
    bootstrap: Mapping[str, str]
    look: Callable[[Key], None]
    namespaces: tuple[str, ...] = ()
    ours: Callable[[str], bool] = anywhere
    """Whether the operator works in a namespace that it sees."""
    clock: Callable[[], float] = time.monotonic
    queue: Queue = field(default_factory=lambda: Queue("preflight"))
    _jobs: dict[Key, Job] = field(default_factory=dict)
    _busy: set[Key] = field(default_factory=set)
    """Jobs that have a pod, or are about to."""
    _known: dict[Key, tuple[float, Finding]] = field(default_factory=dict)
    """What is believed: failures, and reports that could not be kept in the ConfigMap; and when to look again, see `due`."""
    _recording: asyncio.Lock = field(default_factory=asyncio.Lock)

    def probed(self, deployment: JSON, tracing: GrpcTracing) -> dict[str, Finding | None] | None:
        """Return container → what is known of its image; None where the object wants no preflight. Costs no call."""
        if tracing.spec.preflight != "Auto":
            return None
        namespace = tracing.metadata.namespace
        kept = self.world.owned[CONFIG_MAPS.kind].get(Key(namespace, records.records_name(tracing.metadata.name)))
        answers = records.recorded(kept, deployment, by_policy=tracing.spec.rollout.strategy == ADMISSION)
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            _, finding = self._known.get(Key(namespace, probing.digest(container)), (0.0, None))
            if answers[container["name"]] is None:
                answers[container["name"]] = finding
        return answers

    def due(self, deployment: JSON, tracing: GrpcTracing) -> tuple[str, ...]:
        """Return the containers whose images are worth another look. What is known of them counts until there is something new.

        Nothing is due where nobody would look: a job that ends at once has its asker looked at, which would ask again.
        """
        if not wants_a_look(tracing):
            return ()
        namespace = tracing.metadata.namespace
        return tuple(
            container["name"]
            for container in deployment["spec"]["template"]["spec"]["containers"]
            if self._known.get(Key(namespace, probing.digest(container)), (self.clock() + 1, None))[0] <= self.clock()
        )

    def ask(self, workload: Key | None, deployment: JSON, tracing: GrpcTracing, containers: tuple[str, ...]) -> None:
        """Have the images of *containers* looked into; *workload*, if any, is looked at again when something is known."""
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            if container["name"] in containers:
                key = Key(tracing.metadata.namespace, probing.digest(container))
                owner = Key(tracing.metadata.namespace, tracing.metadata.name)
                pod = probing.manifest(deployment, container, tracing)
                job = self._jobs.setdefault(key, Job(owner, container.get("image", ""), pod, set()))
                job.waiting |= {workload} if workload else set()
                self.queue.add_after(key, 0.0)

    async def work(self) -> None:
        """Work until cancelled."""
        await self.queue.work(self.reconcile, AT_ONCE)

    async def sweep(self) -> None:
        """Remove what an earlier process left, then be quiet until cancelled."""
        for namespace in self.namespaces or (None,):
            await self.sweep_in(namespace)
        await asyncio.Event().wait()

    async def sweep_in(self, namespace: str | None) -> None:
        """Remove what an earlier process left in *namespace* (None: in all); raises nothing."""
        try:
            for pod in await self.client.list(PODS, namespace, selector=SELECTOR):
                ours = any(controllers(pod)) and self.ours(pod["metadata"]["namespace"])
                if ours and not self._at_work(pod):
                    await self.client.delete(PODS, pod)
        except errors.ApiError as error:  # no right to pods: then there are none of ours either
            log.warning("preflight pods not cleaned up", extra={"namespace": namespace or "*", "error": str(error)})

    def _at_work(self, pod: JSON) -> bool:
        """Tell whether a job of this process has made *pod*, or has found it and waits for it."""
        key = Key(pod["metadata"]["namespace"], pod["metadata"]["name"].removeprefix(probing.pod_name("")))
        return key in self._jobs and self._jobs[key].since is not None

    async def reconcile(self, key: Key) -> float | None:
        """Take one job a step on. Idempotent; returns when to come back."""
        job = self._jobs.get(key)
        if job is None:
            return None
        tracing = self._wanting(job)
        if tracing is None:
            await self._end(key, job)
        elif job.since is None:
            return await self._start(key, job, tracing)
        else:
            pod, finding = await self._look(key, job)
            if finding is None:
                return POLL_SECONDS
            await self._keep(key, job, tracing, finding)
            await self._end(key, job, pod)
        return None

    async def _look(self, key: Key, job: Job) -> tuple[JSON | None, Finding | None]:
        try:
            pod = await find(self.client, PODS, key.namespace, job.pod["metadata"]["name"])
        except errors.Unavailable:
            raise
        except errors.ApiError as error:
            return None, Failure(f"the API server does not show the preflight pod: {error.message[:300]}")
        return pod, self._read(job, pod)

    def _wanting(self, job: Job) -> GrpcTracing | None:
        """Return the object that the job is for, as long as it wants one. `Plan` writes nothing, also not what was asked for before."""
        if not self.ours(job.tracing.namespace):
            return None
        try:
            tracing = self.world.tracing(job.tracing)
        except Unreadable:
            return None
        return tracing if tracing is not None and wants_a_look(tracing) else None

    def _ready(self, tracing: GrpcTracing) -> bool:
        """Tell whether the probe is there to be mounted."""
        return self.world.has_bootstrap(tracing, self.bootstrap)

    def _next(self) -> None:
        """Have the first job looked at that waits for its turn and can go on."""
        for key, job in self._jobs.items():
            if job.since is None and ((tracing := self._wanting(job)) is None or self._ready(tracing)):
                self.queue.add(key)
                return

    async def _start(self, key: Key, job: Job, tracing: GrpcTracing) -> float | None:
        if not self._ready(tracing):
            self._next()
            return BOOTSTRAP_SECONDS
        if len(self._busy) >= AT_ONCE:
            return None  # the one that ends has the next looked at
        job.since = self.clock()  # before the call: the place is taken
        self._busy.add(key)
        try:
            await self.client.create(PODS, key.namespace, job.pod)
        except errors.Conflict:
            # An earlier process made it, or its predecessor still goes: a look at it tells, and one that is gone is made anew.
            live = await find(self.client, PODS, key.namespace, job.pod["metadata"]["name"])
            if live is None or live["metadata"].get("deletionTimestamp"):
                self._give_up_place(key, job)
        except (errors.Unavailable, errors.NotOurs):
            self._give_up_place(key, job)
            raise
        except errors.ApiError as error:
            self._give_up_place(key, job)
            await self._keep(
                key, job, tracing, Failure(f"the API server refuses the preflight pod: {error.message[:300]}")
            )
            await self._end(key, job)
            return None
        return POLL_SECONDS

    def _give_up_place(self, key: Key, job: Job) -> None:
        job.since = None
        self._busy.discard(key)

    def _read(self, job: Job, pod: JSON | None) -> Finding | None:
        if pod is None:
            return Failure("somebody deleted the preflight pod")
        if not (is_own(pod) and set(controllers(pod)) & set(controllers(job.pod))):
            return Failure(f"a pod {pod['metadata']['name']} exists that is not ours")
        finding = findings.read(pod)
        if finding is None and job.since is not None and self.clock() - job.since > PATIENCE:
            return findings.unstarted(pod)
        return finding

    async def _keep(self, key: Key, job: Job, tracing: GrpcTracing, finding: Finding) -> None:
        telemetry.PREFLIGHTS.labels("report" if isinstance(finding, Report) else "failure").inc()
        fields = {"image": job.image, "tracing": str(job.tracing)}
        if isinstance(finding, Failure):
            log.warning("image not probed", extra={**fields, "why": finding.why})
            self._remember(key, finding, RETRY_PULL_SECONDS if finding.unpullable else RETRY_SECONDS)
            return
        log.info("image probed", extra={**fields, "python": finding.python, "grpcio": finding.grpcio})
        store = self.world.owned[CONFIG_MAPS.kind]
        name = Key(key.namespace, records.records_name(tracing.metadata.name))
        async with self._recording:  # each writes the whole: two at once would lose one
            live = store.get(name)
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            entries = {
                **((live or {}).get("data") or {}),
                key.name: records.record(finding, job.image, now, sets_path=sets_path(job.pod)),
            }
            try:
                written = await ensure(self.client, records.records_config_map(tracing, entries), live)
            except (NameTaken, errors.ApiError) as error:  # a quota, a webhook: what was found is true all the same
                log.warning("finding not kept", extra={**fields, "error": str(error)})
                self._remember(key, finding, RETRY_SECONDS)
                return
            if written is not None:
                store.put(written)
            self._known.pop(key, None)  # what was believed until now is not to be looked into again

    def _remember(self, key: Key, finding: Finding, seconds: float) -> None:
        self._known.pop(key, None)
        if len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[key] = (self.clock() + seconds, finding)

    async def _end(self, key: Key, job: Job, pod: JSON | None = None) -> None:
        """Delete the pod if there is one of ours, and tell those that wait. A refusal must not keep the place: three would stop all of it."""
        try:
            if pod is None and job.since is not None:
                pod = await find(self.client, PODS, key.namespace, job.pod["metadata"]["name"])
            if pod is not None and is_own(pod):
                await self.client.delete(PODS, pod)
        except errors.Unavailable:
            raise
        except errors.NotOurs:
            pass  # whoever has the namespace now finds it
        except errors.ApiError as error:  # it has a deadline, and goes with its owner
            log.warning("preflight pod not deleted", extra={"image": job.image, "error": str(error)})
        self._give_up_place(key, job)
        self._jobs.pop(key, None)
        self._next()
        for workload in job.waiting:
            self.look(workload)


def wants_a_look(tracing: GrpcTracing) -> bool:
    """Tell whether images are looked into for an object."""
    wanted = tracing.spec.preflight == "Auto" and tracing.spec.rollout.mode == "Apply"
    return wanted and tracing.metadata.deletion_timestamp is None


def sets_path(pod: JSON) -> bool:
    """Tell whether the container that a preflight pod stands for sets a PYTHONPATH of its own."""
    return any(entry["name"] == PYTHONPATH for item in pod["spec"]["containers"] for entry in item.get("env") or ())
