"""Pods from before the policy are evicted, one at a time (`rollout.restartExisting`); `injection.restart` says when.

Which pods those are is read off the pods themselves, so a restart of the operator forgets nothing: they are listed once per
template, and once more after each eviction. Before the first one, the API server is asked in a dry run whether a pod that
was made now would carry the injection: nobody loses a pod for nothing.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from grpctracing import telemetry
from grpctracing.controllers.history import digest
from grpctracing.controllers.newcomers import carries
from grpctracing.controllers.world import Unreadable
from grpctracing.injection import Action, guard
from grpctracing.injection.admitted import ADMISSION
from grpctracing.injection.failed import against
from grpctracing.injection.kinds import numbers
from grpctracing.injection.restart import Untraced, by_its_user
from grpctracing.injection.rollout import Rollout, rollout
from grpctracing.kube import errors
from grpctracing.kube.apply import find
from grpctracing.kube.resources import BY_KIND, Key, key_of

if TYPE_CHECKING:
    from grpctracing.api import GrpcTracing
    from grpctracing.controllers.board import Board
    from grpctracing.controllers.memory import Memory
    from grpctracing.controllers.newcomers import Newcomers
    from grpctracing.controllers.world import World
    from grpctracing.injection import Verdict
    from grpctracing.injection.failure import Failure
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

NOT_WELL: Final = frozenset({Rollout.RUNNING, Rollout.STUCK})
FRESH: Final = 2.0
"""Seconds for which a list of pods is good enough to take one of them by."""
LONGEST: Final = 600.0
"""Seconds between two dry runs, at most."""
DOUBLINGS: Final = 10
MOMENT: Final = 0.1
NOT_PERMITTED: Final = "the operator may not evict pods: set restartExisting to true in the chart"
IN_VAIN: Final = "the pod that was made in place of one came without it, too"
NOT_ADMITTED: Final = "a pod that was made now would not get it"


@dataclass(slots=True)
class Known:
    """What is known of the pods of one workload while its template is *template*; times are the caller's, in seconds.

    *old* are those that do not carry the injection (None: not listed yet), *first* the uids of those that did not at first:
    one that comes later shows that evictions are in vain. *well*: when they were *listed*, all were there and ready.
    """

    template: str
    old: list[JSON] | None = None
    first: frozenset[str] = frozenset()
    well: bool = False
    listed: float = -math.inf
    evicted: float = -math.inf
    admitted: bool = False
    asked: int = 0
    trouble: str = ""
    budget: bool = False
    until: float = -math.inf

    def hold(self, until: float, trouble: str = "", *, budget: bool = False) -> None:
        """Evict none of its pods until it has been rehearsed again, not before *until*."""
        self.admitted, self.until, self.trouble, self.budget = False, until, trouble, budget

    def refused(self, error: errors.ApiError, now: float) -> None:
        """Note that the API server has refused an eviction, or the pod that would come after it."""
        if error.status == errors.TOO_MANY_REQUESTS and "disruption budget" in error.message:
            self.hold(now + guard.BUDGET, budget=True)
        elif isinstance(error, errors.Forbidden) and "pods/eviction" in error.message:
            self.hold(now + guard.AGAIN, NOT_PERMITTED)
        elif error.status:
            self.hold(now + guard.AGAIN, f"the API server refuses: {error.message[:300]}")

    @property
    def stale(self) -> bool:
        """Tell whether its pods have to be listed (again)."""
        return self.old is None or not self.well or self.listed <= self.evicted

    def told(self, now: float, failure: Failure | None = None) -> Untraced:
        """Return what a decision is to know."""
        begun, sure = self.evicted > -math.inf, self.well and self.listed > self.evicted
        again = self.until - now + MOMENT if now < self.until < math.inf else None
        return Untraced(len(self.old or ()), begun, sure, failure, self.trouble, again, self.budget)


@dataclass(slots=True)
class Restarts:
    """Looks at the pods of workloads whose GrpcTracing asks for it, and evicts them. *payload* is the digest of the bootstrap."""

    world: World
    board: Board
    memory: Memory
    newcomers: Newcomers
    payload: str
    _known: dict[Key, Known] = field(default_factory=dict)

    async def of(self, key: Key, workload: JSON, *, still: float, now: float) -> Untraced | None:
        """Return what is known of pods from before the policy; None where nobody asks. Raises Unreadable.

        *still* is for how long the rollout has made no progress.
        """
        tracing = self._asked_by(workload)
        if tracing is None:
            self.forget(key)
            return None
        try:
            record = against(self.memory.of(Key(key.namespace, tracing.metadata.name)), workload, self.payload)
            if record is not None:
                if rollout(workload) in NOT_WELL:  # also where it was another one with these images that showed it
                    own = record.label == key.label
                    await self.newcomers.clear(key, workload, judged=own, still=still, now=now)
                return None
            if tracing.spec.rollout.restart_existing:
                return await self._look(key, workload, tracing, still, now)
        except errors.ApiError as error:
            log.warning("pods not seen", extra={"workload": str(key), "error": str(error)})
            return None
        self.forget(key)
        return None

    async def carry_out(self, key: Key, workload: JSON, verdict: Verdict, now: float) -> None:
        """Evict a pod, where *verdict* says so and at this very moment the workload is well; raises nothing."""
        if verdict.action is not Action.RESTART:
            return
        known = self._known[key]
        try:
            await self._replace_one(workload, known, now)
        except (errors.NotFound, errors.Conflict):
            known.well = False  # gone, or another one by now: list them again
        except Unreadable:
            return  # told where it is reconciled
        except errors.ApiError as error:
            log.warning("not evicted", extra={"workload": str(key), "error": str(error)})
            known.refused(error, now)
            if not error.status:
                known.evicted = now  # without an answer it may be gone all the same

    def forget(self, key: Key) -> None:
        """Drop what is known of a workload."""
        self._known.pop(key, None)
        self.newcomers.forget(key)

    def _asked_by(self, workload: JSON) -> GrpcTracing | None:
        """Return the object whose policy takes the pods of *workload*, where it is in force."""
        tracings = self.world.tracings_in(workload["metadata"]["namespace"])
        if not any(tracing.spec.rollout.strategy == ADMISSION for tracing in tracings):
            return None  # nobody else pays for the question
        tracing = self.world.governing(workload)
        if tracing is None or tracing.spec.rollout.strategy != ADMISSION or tracing.spec.rollout.mode != "Apply":
            return None
        key = Key(tracing.metadata.namespace, tracing.metadata.name)
        return tracing if self.board.policy_in_force(key) else None

    async def _look(self, key: Key, workload: JSON, tracing: GrpcTracing, still: float, now: float) -> Untraced | None:
        template, state = f"{tracing.metadata.uid} {digest(workload)}", rollout(workload)
        known = self._known.get(key)
        if known is None or known.template != template:
            self.forget(key)
            known = self._known[key] = Known(template)
        if state in NOT_WELL:
            known.well = False  # whoever replaces pods: they are listed anew afterwards
            return known.told(now, await self.newcomers.failure(key, workload, tracing, still=still, now=now))
        self.newcomers.forget(key)
        if state is Rollout.COMPLETE and known.stale and now - max(known.listed, known.evicted) >= FRESH:
            await self._list(workload, known, now)
        if known.old and not known.admitted and now >= known.until and not by_its_user(workload, tracing):
            await self._rehearse(workload, known.old[0], known, now)
        return None if known.old is None else known.told(now)

    async def _list(self, workload: JSON, known: Known, now: float) -> None:
        _, pods = await self.newcomers.pods.all_present(workload)
        old = [pod for pod in pods if not carries(pod)]
        uids = frozenset(pod["metadata"]["uid"] for pod in old)
        if known.old is None:
            known.first = uids
        elif known.evicted == -math.inf:
            known.first |= uids  # made while none of them went because of us: in place of whatever
        elif uids - known.first:
            known.hold(math.inf, IN_VAIN)
        known.old, known.listed = old, now
        known.well = sum(map(is_ready, pods)) >= numbers(workload).desired

    async def _rehearse(self, workload: JSON, pod: JSON, known: Known, now: float) -> None:
        """Ask the API server whether *pod* may go, and whether its successor would carry the injection."""
        try:
            await self.newcomers.pods.client.evict(pod, dry_run=True)
            admitted = await self.newcomers.admitted(workload, pod)
        except errors.NotFound:
            known.well = False  # gone: list them again
        except errors.ApiError as error:
            known.refused(error, now)
        else:
            # Rarer and rarer: an API server may only be late to go by a policy, else that is how it is.
            wait = min(guard.STABLE * 2 ** min(known.asked, DOUBLINGS), LONGEST)
            known.hold(-math.inf if admitted else now + wait, "" if admitted else NOT_ADMITTED)
            known.admitted, known.asked = admitted, known.asked + 1

    async def _replace_one(self, workload: JSON, known: Known, now: float) -> None:
        metadata, client = workload["metadata"], self.newcomers.pods.client
        live = await find(client, BY_KIND[workload["kind"]], metadata["namespace"], metadata["name"])
        if live is None or digest(live) != digest(workload) or rollout(live) is not Rollout.COMPLETE:
            return  # the cache is about to hear of it
        tracing = self._asked_by(live)
        if tracing is None or not tracing.spec.rollout.restart_existing or by_its_user(live, tracing):
            return  # asked otherwise meanwhile, or scaled down to a pod that must not go
        if now - known.listed > FRESH:
            await self._list(live, known, now)
        if not (known.admitted and known.well and known.old):
            return
        pod, *rest = known.old
        await client.evict(pod)
        telemetry.EVICTIONS.inc()
        name = pod["metadata"]["name"]
        log.info("evicted", extra={"workload": str(key_of(live)), "pod": name, "left": len(rest)})
        if known.evicted == -math.inf:
            message = f"Evicts pods from before the policy, {len(rest) + 1} of them, one after the other."
            self.newcomers.recorder.event(workload, "Normal", "Restarting", message)
        known.old, known.evicted = rest, now


def is_ready(pod: JSON) -> bool:
    """Tell whether a pod serves."""
    conditions: list[dict[str, Any]] = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
