"""The admission strategy: a policy and its binding per GrpcTracing that asks for it; written, restored, removed.

They live outside of namespaces, so no owner reference leads to a GrpcTracing: labels say whose they are, our finalizer
keeps the object until they are gone, and what is left over all the same is swept up at the next start. There is no watch
on them, which would ask every user for rights that only this strategy needs: they are compared when their object is
looked at, at the latest with the resync.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from grpctracing.injection import names, policies
from grpctracing.injection.admitted import ADMISSION
from grpctracing.injection.known import known
from grpctracing.injection.policy import policy_name
from grpctracing.injection.records import records_name
from grpctracing.kube import errors
from grpctracing.kube.apply import OWNED_SELECTOR, NameTaken, ensure, find
from grpctracing.kube.part import anywhere
from grpctracing.kube.resources import CONFIG_MAPS, POLICIES, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grpctracing.api import GrpcTracing
    from grpctracing.controllers.board import Facts
    from grpctracing.controllers.world import World
    from grpctracing.injection.failed import Failed
    from grpctracing.injection.known import Known
    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

FRESH: Final = 60.0
"""Seconds for which a policy that was compared counts as unchanged: its object is looked at often while things start."""
SPREADING: Final = 5.0
"""Seconds after which every API server goes by a policy that was written (each looks at its cache once a second)."""
USE_PATCH: Final = "Existing patches stay; to go on without it, set spec.rollout.strategy to Patch."
NAMESPACED: Final = "NotPermitted", f"Policies are cluster-wide, and this operator has watchNamespaces. {USE_PATCH}"
NOT_SERVED: Final = (
    "AdmissionNotServed",
    f"This cluster serves no MutatingAdmissionPolicy (admissionregistration.k8s.io/v1, Kubernetes 1.36). {USE_PATCH}",
)
NOT_PERMITTED: Final = (
    "NotPermitted",
    f"The operator may not write MutatingAdmissionPolicies: set admissionStrategy to true in the chart. {USE_PATCH}",
)


@dataclass(slots=True)
class Admission:
    """Reconciles policies; *cluster_wide* tells whether the operator may, *ours* whether it works in a namespace."""

    client: Client
    world: World
    cluster_wide: bool
    ours: Callable[[str], bool] = anywhere
    clock: Callable[[], float] = time.monotonic
    _present: set[Key] = field(default_factory=set)
    """GrpcTracings for which a policy or a binding may be there."""
    _compared: dict[Key, tuple[list[JSON], float]] = field(default_factory=dict)
    """What was last found or put in place, and when: from then on there is a policy with a binding."""
    _written: dict[Key, float] = field(default_factory=dict)
    _swept: bool = False
    _sweeping: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Sweep at the start, then be quiet until cancelled."""
        await self.sweep()
        await asyncio.Event().wait()

    async def sweep(self) -> bool:
        """See what is there at the start, and remove what no GrpcTracing stands behind; never fails. Return whether it is known now.

        Without an answer from the API server it is done again before the next policy is looked at.
        """
        async with self._sweeping:
            if not self._swept and self.cluster_wide:
                await self._sweep()
        return self._swept or not self.cluster_wide

    async def _sweep(self) -> None:
        try:
            for resource in POLICIES:
                for obj in await self.client.list(resource, selector=OWNED_SELECTOR):
                    if not self.ours((key := key_of_owner(obj)).namespace):
                        continue
                    self._present.add(key)
                    if resource is POLICIES[0]:  # bound, whatever the policy says today
                        self._compared.setdefault(key, ([], 0.0))
            for key in self._present.copy():
                if self.ours(key.namespace) and self.world.tracings.get(key) is None:
                    await self.remove(key)
        except (errors.NotFound, errors.Forbidden):
            self._swept = True  # not served, or not asked for in the chart: there is nothing of ours
        except errors.ApiError as error:
            log.warning("not swept", extra={"error": str(error)})
        else:
            self._swept = True

    def sweep_again(self) -> None:
        """Have the next sweep look once more: a namespace has come, and what is there of it."""
        self._swept = False

    def forget(self, key: Key) -> None:
        """Drop what is known of a GrpcTracing whose policy another operator looks after from now on."""
        self._present.discard(key)
        self._compared.pop(key, None)
        self._written.pop(key, None)

    async def ensure(
        self, tracing: GrpcTracing, tracings: Sequence[GrpcTracing], facts: Facts, failed: Sequence[Failed] = ()
    ) -> Facts:
        """Bring the policy of *tracing* to what it should be and return *facts* with how it stands. Raises ApiError, NotOurs.

        *tracings* are all living ones of the namespace, *failed* the images that are to be left alone. Without the bootstrap in place there is no policy: pods would
        load what somebody else has put there.
        """
        await self.sweep()
        key = Key(tracing.metadata.namespace, tracing.metadata.name)
        if not self.ours(key.namespace):  # given away since this began; a policy is outside of its namespace
            raise errors.NotOurs(0, f"the policy of {key} is another operator's")
        if tracing.spec.rollout.mode == "Plan":
            return replace(facts, policy=self.in_force(key))
        if tracing.spec.rollout.strategy != ADMISSION or facts.trouble is not None:
            await self.remove(key)
            return replace(facts, policy=False)
        trouble = (
            await self._apply(key, policies(tracing, tracings, failed, self._images(tracing)))
            if self.cluster_wide
            else NAMESPACED
        )
        return replace(facts, policy=self.in_force(key), trouble=trouble)

    def _images(self, tracing: GrpcTracing) -> dict[str, Known] | None:
        """Return what the preflight has found; None where the object wants none."""
        if tracing.spec.preflight != "Auto":
            return None
        name = Key(tracing.metadata.namespace, records_name(tracing.metadata.name))
        return known(self.world.owned[CONFIG_MAPS.kind].get(name))

    def in_force(self, key: Key) -> bool:
        """Tell whether the API servers go by the policy of a GrpcTracing."""
        return key in self._compared and self.clock() >= self._written.get(key, -SPREADING) + SPREADING

    def settling(self, key: Key) -> float | None:
        """Return in how many seconds a policy that was written comes into force; None where nothing is waited for."""
        left = self._written.get(key, -SPREADING) + SPREADING - self.clock()
        return left + 0.1 if left > 0 else None

    async def remove(self, key: Key) -> None:
        """Delete what was written for a GrpcTracing, the binding first. Raises ApiError."""
        if key not in self._present:
            return
        for resource in POLICIES:
            live = await find(self.client, resource, "", policy_name(key.namespace, key.name))
            if live is not None and key_of_owner(live) == key:
                await self.client.delete(resource, live)
                log.info("deleted", extra={"kind": resource.kind, "object": live["metadata"]["name"]})
        self.forget(key)

    async def _apply(self, key: Key, wanted: list[JSON]) -> tuple[str, str] | None:
        """Write what differs; return the trouble that stands in the way, if any."""
        now = self.clock()
        before, when = self._compared.get(key, ([], 0.0))
        if before == wanted and now - when < FRESH:
            return None
        try:
            for desired in wanted:
                if await ensure(self.client, desired, None) is None:
                    self._present.add(key)
                    continue
                if desired["kind"] == POLICIES[0].kind or key not in self._compared:
                    self._written[key] = now  # an update of what is in force leaves no gap
                self._present.add(key)
                log.info("applied", extra={"kind": desired["kind"], "object": desired["metadata"]["name"]})
        except NameTaken as taken:
            return "NameTaken", f"{taken}, so it is left alone. Remove it, or give the GrpcTracing another name."
        except errors.NotFound:
            return NOT_SERVED
        except errors.Forbidden as error:
            return NOT_PERMITTED[0], f"{NOT_PERMITTED[1]} The API server says: {error.message[:500]}"
        except errors.Invalid as error:
            return (
                "PolicyRefused",
                f"The API server refuses the policy, so pods stay as they are: {error.message[:500]}",
            )
        self._compared[key] = (wanted, now)
        return None


def key_of_owner(obj: JSON) -> Key:
    """Return the key of the GrpcTracing that a policy or binding was made for."""
    labels = obj["metadata"].get("labels") or {}
    return Key(labels.get(names.NAMESPACE_LABEL, ""), labels.get(names.TRACING_LABEL, ""))
