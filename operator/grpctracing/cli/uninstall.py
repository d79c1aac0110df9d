"""`uninstall`: everything as it was before, for the chart's pre-delete hook and for hand work.

GrpcTracing objects stay, because a user wrote them; they lose our finalizer, so that nobody waits for an operator that is
gone. The operator is stopped first and started again should this not succeed: two writers would fight. That is also why nothing
is touched where an operator works that is not ours to stop. A pass is repeated until one finds nothing to do, which also
catches what a dying operator did last.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grpctracing.controllers import leftovers
from grpctracing.controllers.admission import key_of_owner
from grpctracing.controllers.lifecycle import FINALIZER
from grpctracing.controllers.ownership import controllers, is_own
from grpctracing.controllers.pods import Pods
from grpctracing.controllers.world import Unreadable, parse
from grpctracing.controllers.write import settle
from grpctracing.injection import Seen, decide
from grpctracing.injection.kinds import kind_of, numbers
from grpctracing.injection.rollout import Rollout, observed, rollout
from grpctracing.kube import config, errors
from grpctracing.kube.apply import OWNED_SELECTOR, find
from grpctracing.kube.at_work import NOBODY, at_work, way_out
from grpctracing.kube.client import MERGE, Client
from grpctracing.kube.neighbours import Claim
from grpctracing.kube.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    GRPC_TRACINGS,
    LEASES,
    NAMESPACES,
    OWNED,
    PODS,
    POLICIES,
    STATEFUL_SETS,
    WORKLOADS,
    Key,
    key_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.injection import Verdict
    from grpctracing.kube.resources import JSON, Resource
    from grpctracing.kube.selectors import Selector
    from grpctracing.settings import Settings

PATIENCE: Final = 300.0
STOP_PATIENCE: Final = 60.0
PAUSE: Final = 2.0
PODS_PATIENCE: Final = 90.0
"""Seconds within which it shows whether a pod that is starting is one that crashes with the injection."""
AT_ONCE: Final = 8
NO_RIGHT: Final = (
    "policies of strategy Admission, if there are any, are not yours to delete: see docs/uninstall.md, by hand"
)
OPTIONAL: Final = (PODS, STATEFUL_SETS, DAEMON_SETS)
"""Kinds that earlier releases asked no right for."""


async def uninstall(settings: Settings, environ: Mapping[str, str]) -> int:
    """Take out, delete and release everything in scope, within six minutes; return 0, or 1 when something is left."""
    client = Client(await config.load(environ), rate=settings.requests_per_second)
    work = Uninstall(
        client, settings.watch_namespaces, settings.operator_deployment, settings.lease, settings.namespace_selector
    )
    doing = asyncio.create_task(work.run())
    # The deadline of the hook's Job ends us with SIGTERM: then, too, the operator must not stay stopped.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, doing.cancel)
    try:
        await asyncio.wait([doing], timeout=STOP_PATIENCE + PATIENCE)
        if not doing.done() or doing.cancelled():
            work.failures.setdefault("time", "ended before everything was done; run it again")
            doing.cancel()
            await asyncio.wait([doing])
        if work.failures:
            await work.start_operator()
        if not doing.cancelled():
            doing.result()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        await client.close()
    return work.summary()


@dataclass(slots=True)
class Uninstall:
    """One uninstallation and what came of it; *operator* and *lease* are namespace and name of the operator's own.

    It is of *namespaces*, of those that *selector* selects at each pass, or of all.
    """

    client: Client
    namespaces: tuple[str, ...]
    operator: tuple[str, str] | None = None
    lease: tuple[str, str] | None = None
    selector: Selector | None = None
    done: dict[str, int] = field(default_factory=lambda: {"reverted": 0, "deleted": 0, "released": 0})
    failures: dict[str, str] = field(default_factory=dict)
    """What could not be done in the last whole pass, and why."""
    _others: frozenset[str] = frozenset()
    """Namespaces that another operator looks after."""
    _refused: dict[str, str] = field(default_factory=dict)
    _reverted: set[Key] = field(default_factory=set)
    _noted: set[str] = field(default_factory=set)
    _unsettled: bool = False
    """Whether a pod that was injected may still turn out to be one that its StatefulSet waits for."""
    _replicas: int = 0
    _selected: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Stop the operator, then repeat until a pass has nothing to do."""
        if not await self._give_way():
            return
        await self._stop_operator()
        end = time.monotonic() + PODS_PATIENCE
        while True:
            before = sum(self.done.values())
            self._refused, self._unsettled = {}, False
            try:
                await self._pass()
            except errors.ApiError as error:
                self._refused["the API server"] = str(error)
            self.failures = self._refused
            waits = self._unsettled and time.monotonic() < end
            if not self.failures and not waits and sum(self.done.values()) == before:
                await self._delete_lease()
                return
            await asyncio.sleep(PAUSE)

    async def start_operator(self) -> None:
        """Give the operator its replicas back: what is left still needs somebody to look after it."""
        if self.operator is not None and self._replicas:
            await self._scale(self.operator, self._replicas)
            say("starting", f"{self.operator[0]}/{self.operator[1]} again")

    def summary(self) -> int:
        """Print what came of it; return the exit code."""
        for what, why in sorted(self.failures.items()):
            say("failed", f"{what}: {why}")
        say(
            "done" if not self.failures else "not done",
            ", ".join(f"{number} {what}" for what, number in self.done.items()),
        )
        return 1 if self.failures else 0

    async def _give_way(self) -> bool:
        """Tell whether there is something to do: not where an operator works that is not ours to stop, for it would inject again.

        Who works by hand is told how to go on; a release that goes leaves these namespaces to the one that stays.
        """
        everything = False
        lease, selector = Key(*self.lease) if self.lease else NOBODY, self.selector.text if self.selector else ""
        mine = Claim(lease, frozenset(self.namespaces), "", selector)
        for claim in await at_work(self.client, mine):
            theirs, where = await self._of(claim), mine.overlaps(claim) or ""
            if claim.selector and self.namespaces and not theirs & set(self.namespaces):
                continue  # its labels select none of these, at present
            if self.operator is None:
                self.failures[where] = way_out(mine, claim)
            else:
                what = "may work" if theirs == frozenset(self.namespaces) and claim.selector else "works"
                say("note", f"{where}: left to the operator of Lease {claim.lease}, which {what} there")
            everything |= not (claim.namespaces or claim.selector)
            self._others |= theirs
        return not (self.failures or everything or (mine.namespaces and mine.namespaces <= self._others))

    async def _of(self, claim: Claim) -> frozenset[str]:
        """Return the namespaces of another operator at present, and ours where nobody may see which these are; raises ApiError."""
        if not claim.selector:
            return claim.namespaces
        try:
            selected = await self.client.list(NAMESPACES, selector=claim.selector)
        except errors.Forbidden:
            if not self.namespaces:
                raise
            return frozenset(self.namespaces)
        return frozenset(namespace["metadata"]["name"] for namespace in selected)

    async def _stop_operator(self) -> None:
        """Scale the operator's own Deployment to zero and wait for its pods to be gone."""
        live = await find(self.client, DEPLOYMENTS, *self.operator) if self.operator else None
        if self.operator is None or live is None or not (replicas := int(live["spec"].get("replicas", 1))):
            return
        self._replicas = replicas
        await self._scale(self.operator, 0)
        say("stopping", f"{self.operator[0]}/{self.operator[1]}, so that nobody injects again")
        end = time.monotonic() + STOP_PATIENCE
        while live is not None and not stopped(live) and time.monotonic() < end:
            await asyncio.sleep(PAUSE / 2)
            live = await find(self.client, DEPLOYMENTS, *self.operator)

    async def _scale(self, deployment: tuple[str, str], replicas: int) -> None:
        await self.client.patch(DEPLOYMENTS, *deployment, {"spec": {"replicas": replicas}}, kind=MERGE)

    async def _pass(self) -> None:
        if self.selector is not None:
            selected = await self.client.list(NAMESPACES, selector=self.selector.text)
            self._selected = frozenset(namespace["metadata"]["name"] for namespace in selected)
        await self._remove_policies()
        tracings: list[JSON] = await self._list(GRPC_TRACINGS)
        by_namespace: dict[str, list[GrpcTracing]] = {}
        for obj in tracings:
            try:
                by_namespace.setdefault(obj["metadata"]["namespace"], []).append(parse(obj))
            except Unreadable as error:
                say("note", f"{error}; its workloads are reverted by what managedFields tells")
        workloads = [obj for resource in WORKLOADS for obj in await self._list(resource)]
        gate = asyncio.Semaphore(AT_ONCE)

        async def revert(workload: JSON) -> None:
            async with gate:
                await self._revert(workload, by_namespace.get(workload["metadata"]["namespace"], []))

        await asyncio.gather(*(revert(workload) for workload in workloads if not is_own(workload)))
        if self._refused:
            return  # a workload that still carries the injection still needs what it points at
        for resource in (DEPLOYMENTS, PODS, *OWNED):
            await self._delete(resource)
        for obj in tracings:
            await self._release(obj)

    async def _revert(self, workload: JSON, tracings: list[GrpcTracing]) -> None:
        def think(live: JSON) -> Verdict:
            return decide(Seen(live, tracings, reverting=True))

        try:
            outcome = await settle(self.client, workload, think)
        except errors.ApiError as error:
            self._refused[f"{workload['kind']} {key_of(workload)}"] = str(error)
            return
        if outcome.written:
            self._reverted.add(key_of(workload))
            self._did("reverted", str(key_of(workload)))
        elif outcome.deployment is not None:
            await self._clear(outcome.deployment)

    async def _clear(self, workload: JSON) -> None:
        """Delete pods that broke with the injection and that a StatefulSet would wait for."""
        key, pods = key_of(workload), Pods(self.client)
        if not kind_of(workload).stuck or rollout(workload) is not Rollout.RUNNING:
            return
        if not observed(workload):
            self._unsettled |= key in self._reverted
            return
        try:
            found = await leftovers.clear(pods, workload)
            doubtful = await leftovers.broken_pods(pods, workload, failed=True)
        except errors.ApiError as error:
            say("note", f"{key} is not well, and its pods can't be seen: {error}")
            return
        for pod in (name for name, deleted in found.items() if deleted):
            self._did("deleted", f"Pod {pod}, which broke with the injection")
        left = [pod["metadata"]["name"] for pod in doubtful if not found.get(pod["metadata"]["name"])]
        self._unsettled |= bool(left) and key in self._reverted and numbers(workload).replaced > 0
        for pod in left:
            self._note(f"{key}: pod {pod} still has the injection and is not ready")

    def _note(self, text: str) -> None:
        if text not in self._noted:  # once, however many passes it takes
            self._noted.add(text)
            say("note", text)

    async def _remove_policies(self) -> None:
        """Delete the policies of the admission strategy first: what is reverted must not come back by the other way."""
        try:
            found = [(resource, await self.client.list(resource, selector=OWNED_SELECTOR)) for resource in POLICIES]
        except errors.NotFound:
            return  # not served
        except errors.Forbidden:
            if self.operator is None:
                self._note(NO_RIGHT)
            return  # never permitted: then there is none of this operator's
        for resource, objects in found:
            for obj in objects:
                if self._in_scope(key_of_owner(obj).namespace):
                    try:
                        await self.client.delete(resource, obj)
                    except errors.Forbidden:
                        self._note(NO_RIGHT)
                        return
                    self._did("deleted", f"{resource.kind} {obj['metadata']['name']}")

    async def _delete(self, resource: Resource) -> None:
        for obj in await self._list(resource, OWNED_SELECTOR):
            if not controllers(obj) or obj["metadata"].get("deletionTimestamp"):
                continue
            name = f"{resource.kind} {key_of(obj)}"
            try:
                await self.client.delete(resource, obj)
            except errors.ApiError as error:
                self._refused[name] = str(error)
            else:
                self._did("deleted", name)

    async def _release(self, obj: JSON) -> None:
        """Take our finalizer off, and the status with it: nobody keeps it true any more."""
        metadata = obj["metadata"]
        finalizers = metadata.get("finalizers") or []
        key, where = key_of(obj), (metadata["namespace"], metadata["name"])
        try:
            if obj.get("status"):
                await self.client.patch(GRPC_TRACINGS, *where, {"status": None}, kind=MERGE, subresource="status")
            if FINALIZER in finalizers:
                rest = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
                body = {"metadata": {"uid": metadata["uid"], "finalizers": rest}}
                await self.client.patch(GRPC_TRACINGS, *where, body, kind=MERGE)
                self._did("released", f"GrpcTracing {key}")
        except errors.NotFound:
            return  # it had been deleted and waited only for this
        except errors.ApiError as error:
            self._refused[f"GrpcTracing {key}"] = str(error)

    async def _delete_lease(self) -> None:
        """Delete the record of the operator's election; what is left of it harms nobody, so a refusal is no failure."""
        try:
            if self.lease is not None and (lease := await find(self.client, LEASES, *self.lease)) is not None:
                await self.client.delete(LEASES, lease)
        except errors.ApiError as error:
            say("note", f"Lease {'/'.join(self.lease or ())} is left: {error}")

    async def _list(self, resource: Resource, selector: str = "") -> list[JSON]:
        found: list[JSON] = []
        for namespace in self.namespaces or (None,):
            try:
                items = await self.client.list(resource, namespace, selector=selector)
            except errors.Forbidden:
                if resource not in OPTIONAL:
                    raise
                continue  # without that right none was made, or injected, either
            except errors.NotFound:
                continue  # the kind is not served: the CustomResourceDefinition has been removed before
            for item in items:
                item.update(apiVersion=resource.api_version, kind=resource.kind)
            found += [item for item in items if self._in_scope(item["metadata"]["namespace"])]
        return found

    def _in_scope(self, namespace: str) -> bool:
        listed = not self.namespaces or namespace in self.namespaces
        return listed and namespace not in self._others and (self.selector is None or namespace in self._selected)

    def _did(self, what: str, name: str) -> None:
        self.done[what] += 1
        say(what, name)


def stopped(deployment: JSON) -> bool:
    """Tell whether a Deployment that was scaled to zero has no pod left."""
    status = deployment.get("status") or {}
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    return seen and not status.get("replicas", 0) and not status.get("terminatingReplicas", 0)


def say(what: str, detail: str) -> None:
    """Print one line of the report."""
    sys.stdout.write(f"{what:<9} {detail}\n")
    sys.stdout.flush()
