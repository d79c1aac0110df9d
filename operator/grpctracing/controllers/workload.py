"""Workloads: each is brought to what its GrpcTracing asks for, by at most one patch."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from grpctracing.controllers import payload
from grpctracing.controllers.budgets import Budgets
from grpctracing.controllers.evidence import Evidence
from grpctracing.controllers.history import History
from grpctracing.controllers.inherited import Inherited
from grpctracing.controllers.leftovers import Leftovers
from grpctracing.controllers.memory import Memory
from grpctracing.controllers.newcomers import Newcomers
from grpctracing.controllers.pods import Pods
from grpctracing.controllers.restarts import Restarts
from grpctracing.controllers.world import Unreadable
from grpctracing.controllers.write import settle
from grpctracing.injection import Action, Reason, Seen, State, decide, guard
from grpctracing.injection.admitted import ADMISSION
from grpctracing.injection.decide import LOOK_SECONDS
from grpctracing.injection.digests import image_digest
from grpctracing.injection.kinds import REPLICA_SET, kind_of
from grpctracing.injection.rollout import began_at, ended_at
from grpctracing.kube import errors
from grpctracing.kube.part import anywhere
from grpctracing.kube.resources import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.controllers.board import Board
    from grpctracing.controllers.preflight import Preflight
    from grpctracing.controllers.proof import Proof
    from grpctracing.controllers.transitions import Transitions
    from grpctracing.controllers.world import World
    from grpctracing.injection import Verdict
    from grpctracing.injection.failure import Failure
    from grpctracing.injection.restart import Untraced
    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

    Names = Mapping[str, frozenset[str]]
    """Container → variables that it takes from ConfigMaps."""

log = logging.getLogger(__name__)

SURVEY_SECONDS: Final = 0.2
BOOTSTRAP_SECONDS: Final = 0.5
UNREADABLE_SECONDS: Final = 60.0
WRITES: Final = frozenset({Action.INJECT, Action.REVERT})


@dataclass(slots=True)
class WorkloadController:
    """Reconciles workloads; keeps nothing but *history* from one call to the next. *bootstrap* is by flat key."""

    client: Client
    world: World
    board: Board
    proof: Proof
    transitions: Transitions
    bootstrap: Mapping[str, str]
    preflight: Preflight
    ours: Callable[[str], bool] = anywhere
    """Whether the operator works in a namespace: whether its caches are complete, and nobody else's business."""
    memory_changed: Callable[[Key], None] = lambda _: None
    """Called with a GrpcTracing of which something else is remembered than before: its policy goes by that."""
    clock: Callable[[], float] = time.monotonic
    history: History = field(default_factory=History)
    inherited: Inherited = field(init=False)
    evidence: Evidence = field(init=False)
    leftovers: Leftovers = field(init=False)
    restarts: Restarts = field(init=False)
    budgets: Budgets = field(init=False)
    memory: Memory = field(init=False)
    payload: str = field(init=False)

    def __post_init__(self) -> None:
        self.inherited = Inherited(self.client)
        self.evidence = Evidence(Pods(self.client))
        self.leftovers = Leftovers(Pods(self.client), self.transitions.recorder)
        self.budgets = Budgets(self.client)
        self.memory = Memory(self.client, self.world, self.memory_changed)
        self.payload = payload.digest(self.bootstrap)
        newcomers = Newcomers(Pods(self.client), self.transitions.recorder)
        self.restarts = Restarts(self.world, self.board, self.memory, newcomers, self.payload)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one workload to what its GrpcTracing asks for. Idempotent; called with a key, never with an event."""
        store = self.world.of(key)
        deployment = store.get(key)
        if deployment is None:
            await self._gone(key)
            return None
        inherited: Names = {}
        failure: Failure | None = None
        left: tuple[str, ...] = ()
        untraced: Untraced | None = None
        try:
            if self.world.tracings.in_namespace(key.namespace):
                inherited = await self.inherited.of(deployment)
                now = self.clock()
                ended_for = self._ended_for(key, deployment, now)
                still = self.history.failed_since(key, deployment, now)
                failure = await self.evidence.of(key, deployment, still=still, now=now, ended_for=ended_for)
                untraced = await self.restarts.of(key, deployment, still=still, now=now)
            if key.kind:
                left = await self._clear(key, deployment)
            outcome = await settle(
                self.client,
                deployment,
                lambda live: self._think(key, live, inherited, failure, left, untraced),
                before=lambda verdict: self._prepare(key, verdict),
            )
        except Unreadable as error:
            log.error("left alone", extra={"workload": str(key), "error": str(error)})  # noqa: TRY400 - known, no traceback
            return UNREADABLE_SECONDS
        except errors.ApiError as error:
            self._refused(key, error, inherited)
            raise
        except Exception:
            self.board.stumbled(key)
            raise
        if outcome.deployment is None:
            store.remove(key)
            await self._gone(key)
            return None
        store.put(outcome.deployment)
        if outcome.written:
            self._wrote(key, outcome.verdict, outcome.deployment)
        await self.restarts.carry_out(key, outcome.deployment, outcome.verdict, self.clock())
        await self._keep_in_mind(key, outcome.verdict)
        if key.kind and self.leftovers.watches(key, outcome.deployment, failed=self.memory.has_failed(key)):
            return min(outcome.verdict.requeue or LOOK_SECONDS, LOOK_SECONDS)
        return outcome.verdict.requeue

    async def _clear(self, key: Key, workload: JSON) -> tuple[str, ...]:
        """See to pods that broke with an injection which is out; the object that it was of may be gone. Raises Unreadable."""
        failed = self.memory.has_failed(key)
        if not self.leftovers.watches(key, workload, failed=failed):
            return ()
        now, planning = self.clock(), self._planning(workload)
        still = self.history.failed_since(key, workload, now)
        return await self.leftovers.clear(key, workload, still=still, now=now, failed=failed, planning=planning)

    def _think(
        self,
        key: Key,
        deployment: JSON,
        inherited: Names,
        failure: Failure | None,
        left: tuple[str, ...],
        untraced: Untraced | None,
    ) -> Verdict:
        """Decide and report in one go: no other worker can take the same rollout slot in between. Raises NotOurs."""
        if not self.ours(key.namespace):  # given away since this began, so that its GrpcTracings would seem to be gone
            raise errors.NotOurs(0, f"{key} is another operator's")
        verdict = self._hold(key, self._decide(key, deployment, inherited, failure, left, untraced))
        self._probe(key, deployment, verdict)
        if verdict.action is Action.INJECT and not self.budgets.fresh(key.namespace):
            return verdict  # `_prepare` asks for the budgets first: nothing is being patched, and no slot is taken
        if verdict.action in WRITES and self.board.refused(key):
            return verdict  # tried again now and then: until it is accepted, nothing has changed that could be told
        before = self.board.report(key, verdict)
        self.transitions.told(deployment, before, verdict)
        return verdict

    def _decide(
        self,
        key: Key,
        deployment: JSON,
        inherited: Names,
        failure: Failure | None = None,
        left: tuple[str, ...] = (),
        untraced: Untraced | None = None,
    ) -> Verdict:
        tracings = self.world.tracings_in(key.namespace)
        tracing = self.world.governing(deployment)
        now = self.clock()
        belongs = Key(key.namespace, tracing.metadata.name) if tracing else None
        image = image_digest(deployment, self.payload)
        seen = Seen(
            deployment=deployment,
            tracings=tracings,
            progressing=self.board.progressing(belongs, key) if belongs else 0,
            spans_seen=self._spans_seen(key, deployment, tracing),
            heard_for=self.proof.heard_for(key.namespace),
            failed_since=self.history.failed_since(key, deployment, now),
            inherited=inherited,
            policy_in_force=belongs is not None and self.board.policy_in_force(belongs),
            healthy_for=self.history.healthy_for(key, now),
            ended_for=self._ended_for(key, deployment, now),
            age=ago(deployment["metadata"].get("creationTimestamp"), otherwise=math.inf),
            failure=failure if failure and failure.generation == deployment["metadata"].get("generation") else None,
            reverted=self.memory.of(belongs) if belongs else {},
            payload=self.payload,
            budget=self.budgets.exhausted(deployment),
            image_busy=self.board.trying(image, key),
            image_proved=self.board.proved(image),
            probed=self.preflight.probed(deployment, tracing) if tracing else None,
            left_behind=left,
            untraced=untraced,
        )
        verdict = decide(seen)
        if (verdict.action is Action.INJECT or verdict.record is not None) and verdict.patch is not None:
            undone = self.history.undone(key, verdict.patch, now, verdict.image)
            if undone:
                verdict = decide(replace(seen, undone=undone))
        return verdict

    def _planning(self, workload: JSON) -> bool:
        """Tell whether the object that a workload belongs to changes nothing at present; raises Unreadable."""
        tracing = self.world.governing(workload)
        return tracing is not None and tracing.spec.rollout.mode == "Plan"

    def _ended_for(self, key: Key, deployment: JSON, now: float) -> float:
        """Return for how many seconds its rollout has been over by its own books, else as it was watched; 0 while it runs."""
        if not guard.carries(deployment):
            return 0.0
        if kind_of(deployment).keeps == REPLICA_SET:
            return ago(ended_at(deployment), otherwise=0.0)
        watched = self.history.over_for(key, deployment, now)
        # Over before the first look: at most as long ago as it began.
        return ago(began_at(deployment), otherwise=math.inf) if watched is None else watched

    def _spans_seen(self, key: Key, deployment: JSON, tracing: GrpcTracing | None) -> bool | None:
        if tracing is None or tracing.spec.collector.mode != "Managed":
            return None
        return self.proof.seen(key, deployment)

    def _probe(self, key: Key, deployment: JSON, verdict: Verdict) -> None:
        """Have the images looked into that the decision could not see, or that a look has failed of and it stands in the way."""
        tracing = self.world.tracing(Key(key.namespace, verdict.tracing)) if verdict.tracing is not None else None
        if tracing is None:
            return
        asked = verdict.probe
        if not asked and (verdict.reason is Reason.PREFLIGHT_FAILED or self._left_alone_if_unknown(tracing)):
            asked = self.preflight.due(deployment, tracing)
        if asked:
            self.preflight.ask(key, deployment, tracing, asked)

    def _left_alone_if_unknown(self, tracing: GrpcTracing) -> bool:
        """Tell whether a policy leaves containers of unknown images alone, whatever the verdict on the others is."""
        key = Key(tracing.metadata.namespace, tracing.metadata.name)
        return tracing.spec.rollout.strategy == ADMISSION and self.board.policy_in_force(key)

    def _hold(self, key: Key, verdict: Verdict) -> Verdict:
        """Return *verdict*, or one that waits for what has to be there before an injection makes sense."""
        if verdict.action not in {Action.INJECT, Action.RESTART} or verdict.tracing is None:
            return verdict
        if not self.board.surveyed(key.namespace, self.world.workloads_in(key.namespace)):
            return wait(verdict, "Waits until all workloads of the namespace have been looked at.", SURVEY_SECONDS)
        tracing = self.world.tracing(Key(key.namespace, verdict.tracing))
        needed = verdict.action is Action.RESTART or mounts(verdict)
        if tracing and needed and not self.world.has_bootstrap(tracing, self.bootstrap):
            # Pods would start without it, for nothing, or with code that is not ours or not of this release.
            return wait(verdict, "Waits for the ConfigMap with the bootstrap.", BOOTSTRAP_SECONDS)
        return verdict

    async def _prepare(self, key: Key, verdict: Verdict) -> bool:
        """Keep a failed injection in mind before it is taken back; tell whether more is known now than when it was decided."""
        if verdict.record is not None and verdict.tracing is not None:
            await self.memory.remember(Key(key.namespace, verdict.tracing), verdict.record)
        if verdict.action is not Action.INJECT or self.budgets.fresh(key.namespace):
            return False
        await self.budgets.look(key.namespace)
        return True

    async def _keep_in_mind(self, key: Key, verdict: Verdict) -> None:
        """Bring the memory to what has been seen; costs a write only where that has changed."""
        if verdict.tracing is None:
            return
        if verdict.record is not None and verdict.patch is None:  # else `_prepare` has done so, ahead of the patch
            await self.memory.remember(Key(key.namespace, verdict.tracing), verdict.record)
        if verdict.proved:
            await self.memory.forget(key, healthy_with=verdict.tracing)
        elif verdict.reason is Reason.REVERTED:
            await self.memory.catch_up(Key(key.namespace, verdict.tracing))

    def _wrote(self, key: Key, verdict: Verdict, deployment: JSON) -> None:
        if verdict.action is Action.REVERT:
            self.leftovers.took_out(key)
        if verdict.record is not None and verdict.patch is not None:
            self.history.took_back(key, verdict.patch, self.clock(), verdict.image)
        elif verdict.action is Action.REVERT:
            self.history.reverted(key)
        elif verdict.patch is not None:
            self.history.wrote(key, verdict.patch, self.clock(), verdict.image)
        self.transitions.wrote(deployment, verdict)

    def _refused(self, key: Key, error: errors.ApiError, inherited: Names) -> None:
        """Say in the status that the API server does not let us; the slot is free for others meanwhile."""
        deployment = self.world.of(key).get(key)
        if deployment is None or not error.is_refusal:
            return
        verdict = self._decide(key, deployment, inherited)
        if verdict.action in WRITES:
            message = f"The API server refuses: {error.message[:500]}"
            refused = replace(verdict, state=State.DEGRADED, reason=Reason.REFUSED, message=message)
            self.transitions.told(deployment, self.board.report(key, refused), refused)

    def forget(self, key: Key) -> None:
        """Drop what this process knows of a workload; what the status of its GrpcTracing remembers stays."""
        self.board.forget(key)
        self.history.forget(key)
        self.proof.forget(key)
        self.evidence.forget(key)
        self.leftovers.forget(key)
        self.restarts.forget(key)

    async def _gone(self, key: Key) -> None:
        self.forget(key)
        await self.memory.forget(key)


def mounts(verdict: Verdict) -> bool:
    """Tell whether the patch adds the volume with the bootstrap."""
    volumes = (verdict.patch or {"spec": {"template": {"spec": {}}}})["spec"]["template"]["spec"].get("volumes", ())
    return any("$patch" not in volume for volume in volumes)


def ago(moment: str | None, *, otherwise: float) -> float:
    """Return for how many seconds an RFC 3339 time of the API server has been over, by this machine's clock."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(moment or "")).total_seconds()
    except ValueError:
        return otherwise


def wait(verdict: Verdict, message: str, seconds: float) -> Verdict:
    """Return *verdict* put off by *seconds*."""
    return replace(
        verdict, action=Action.WAIT, state=State.PENDING, reason=Reason.PREPARING, message=message, requeue=seconds
    )
