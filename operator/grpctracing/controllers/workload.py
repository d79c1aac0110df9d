"""Deployments: each is brought to what its GrpcTracing asks for, by at most one patch."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from grpctracing.controllers.history import History
from grpctracing.controllers.inherited import Inherited
from grpctracing.controllers.world import Unreadable
from grpctracing.controllers.write import settle
from grpctracing.injection import Action, Reason, Seen, State, decide
from grpctracing.injection.admitted import governing
from grpctracing.kube import errors
from grpctracing.kube.resources import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.controllers.board import Board
    from grpctracing.controllers.proof import Proof
    from grpctracing.controllers.transitions import Transitions
    from grpctracing.controllers.world import World
    from grpctracing.injection import Verdict
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
    """Reconciles Deployments; keeps nothing but *history* from one call to the next."""

    client: Client
    world: World
    board: Board
    proof: Proof
    transitions: Transitions
    clock: Callable[[], float] = time.monotonic
    history: History = field(default_factory=History)
    inherited: Inherited = field(init=False)

    def __post_init__(self) -> None:
        self.inherited = Inherited(self.client)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one workload to what its GrpcTracing asks for. Idempotent; called with a key, never with an event."""
        deployment = self.world.deployments.get(key)
        if deployment is None:
            self._forget(key)
            return None
        inherited: Names = {}
        try:
            if self.world.tracings.in_namespace(key.namespace):
                inherited = await self.inherited.of(deployment)
            outcome = await settle(self.client, deployment, lambda live: self._think(key, live, inherited))
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
            self.world.deployments.remove(key)
            self._forget(key)
            return None
        self.world.deployments.put(outcome.deployment)
        if outcome.written:
            self._wrote(key, outcome.verdict, outcome.deployment)
        return outcome.verdict.requeue

    def _think(self, key: Key, deployment: JSON, inherited: Names) -> Verdict:
        """Decide and report in one go: no other worker can take the same rollout slot in between."""
        verdict = self._hold(key, self._decide(key, deployment, inherited))
        if verdict.action in WRITES and self.board.refused(key):
            return verdict  # tried again now and then: until it is accepted, nothing has changed that could be told
        before = self.board.report(key, verdict)
        self.transitions.told(deployment, before, verdict)
        return verdict

    def _decide(self, key: Key, deployment: JSON, inherited: Names) -> Verdict:
        tracings = self.world.tracings_in(key.namespace)
        tracing = governing(deployment, [t for t in tracings if t.metadata.deletion_timestamp is None])
        facts = self.board.facts.get(Key(key.namespace, tracing.metadata.name)) if tracing else None
        now = self.clock()
        seen = Seen(
            deployment=deployment,
            tracings=tracings,
            progressing=self.board.progressing(Key(key.namespace, tracing.metadata.name), key) if tracing else 0,
            spans_seen=self._spans_seen(key, deployment, tracing),
            failed_since=self.history.failed_since(key, deployment, now),
            inherited=inherited,
            policy_in_force=facts is not None and facts.policy,
        )
        verdict = decide(seen)
        if verdict.action is Action.INJECT and verdict.patch is not None:
            undone = self.history.undone(key, verdict.patch, now)
            if undone:
                verdict = decide(replace(seen, undone=undone))
        return verdict

    def _spans_seen(self, key: Key, deployment: JSON, tracing: GrpcTracing | None) -> bool | None:
        if tracing is None or tracing.spec.collector.mode != "Managed":
            return None
        return self.proof.seen(key, deployment)

    def _hold(self, key: Key, verdict: Verdict) -> Verdict:
        """Return *verdict*, or one that waits for what has to be there before an injection makes sense."""
        if verdict.action is not Action.INJECT or verdict.tracing is None:
            return verdict
        if not self.board.surveyed(key.namespace, self.world.workloads_in(key.namespace)):
            return wait(verdict, "Waits until all workloads of the namespace have been looked at.", SURVEY_SECONDS)
        tracing = self.world.tracing(Key(key.namespace, verdict.tracing))
        if tracing and mounts(verdict) and not self.world.has_bootstrap(tracing):
            # Pods would start without it, for nothing; or, where its name is taken, with code that is not ours.
            return wait(verdict, "Waits for the ConfigMap with the bootstrap.", BOOTSTRAP_SECONDS)
        return verdict

    def _wrote(self, key: Key, verdict: Verdict, deployment: JSON) -> None:
        if verdict.action is Action.REVERT:
            self.history.reverted(key)
        elif verdict.patch is not None:
            self.history.wrote(key, verdict.patch, self.clock())
        self.transitions.wrote(deployment, verdict)

    def _refused(self, key: Key, error: errors.ApiError, inherited: Names) -> None:
        """Say in the status that the API server does not let us; the slot is free for others meanwhile."""
        deployment = self.world.deployments.get(key)
        if deployment is None or isinstance(error, errors.Unavailable | errors.Conflict):
            return
        verdict = self._decide(key, deployment, inherited)
        if verdict.action in WRITES:
            message = f"The API server refuses: {error.message[:500]}"
            refused = replace(verdict, state=State.DEGRADED, reason=Reason.REFUSED, message=message)
            self.transitions.told(deployment, self.board.report(key, refused), refused)

    def _forget(self, key: Key) -> None:
        self.board.forget(key)
        self.history.forget(key)
        self.proof.forget(key)


def mounts(verdict: Verdict) -> bool:
    """Tell whether the patch adds the volume with the bootstrap."""
    volumes = (verdict.patch or {"spec": {"template": {"spec": {}}}})["spec"]["template"]["spec"].get("volumes", ())
    return any("$patch" not in volume for volume in volumes)


def wait(verdict: Verdict, message: str, seconds: float) -> Verdict:
    """Return *verdict* put off by *seconds*."""
    return replace(
        verdict, action=Action.WAIT, state=State.PENDING, reason=Reason.PREPARING, message=message, requeue=seconds
    )
