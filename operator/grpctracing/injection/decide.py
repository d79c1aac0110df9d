"""What to do with one Deployment, and what to say about it. Pure: everything it knows is in `Seen`.

`explain` on the command line and the engine call this same function, so they can't disagree. The rules stand in the
order in which they are asked; the first that answers wins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from grpctracing.api import GrpcTracing, seconds
from grpctracing.injection import guard, names
from grpctracing.injection.admitted import through_policy
from grpctracing.injection.back import go_back
from grpctracing.injection.containers import Refusal
from grpctracing.injection.digests import image_digest
from grpctracing.injection.foretold import foretold
from grpctracing.injection.kinds import called, kind_of, numbers
from grpctracing.injection.overrides import overrides
from grpctracing.injection.patch import build
from grpctracing.injection.plan import Plan, plan
from grpctracing.injection.preflight import hold, notes, refined, unprobed
from grpctracing.injection.rollout import Rollout, progress, rollout
from grpctracing.injection.select import Match, Selection, select
from grpctracing.injection.spans import healthy
from grpctracing.injection.verdict import Action, Reason, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grpctracing.api import Reverted
    from grpctracing.injection.failure import Failure
    from grpctracing.injection.fitness import Probed
    from grpctracing.injection.restart import Untraced

# A tool that undoes the same patch more often than this is not fought (the engine counts, over some hours).
UNDONE_LIMIT = 3
# How often a rollout of ours is looked at while no event tells of it: the kubelet counts restarts, a Deployment does not.
LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The world as the caches show it.

    *deployment* is the whole live object; *tracings* all valid ones of its namespace. *undone* counts how often somebody
    else took our injection out in the last hours while no image changed, *progressing* the other workloads of the same GrpcTracing that
    roll out because of us. *spans_seen* is None where no proof can be had (External), *heard_for* how long (s) the managed
    Collector has been answering the question (None: it does not). *failed_since* is how long (s) the
    rollout has been incomplete without any progress, *healthy_for* how long it has been complete, *ended_for* how long ago it
    had ended by the Deployment's own books (0: it has not), *age* how long ago the Deployment was created. *reverting*: the
    operator is being uninstalled. *inherited*: what each container takes from ConfigMaps by `envFrom`. *failure*: what is
    wrong with the pods of the present rollout. *reverted*: what the GrpcTracing's status remembers, by workload. *payload*:
    digest of the bootstrap. *image_busy*: another workload of its namespace with the same images rolls out because of us;
    *image_proved*: one of whatever namespace is well with the injection. *policy_in_force*: under strategy
    Admission, whether the policy is. *probed*: what is known of each container's image, None where nobody probes.
    *left_behind*: pods that broke with an injection which has been taken out, and wait for their user to delete them. *budget*:
    the PodDisruptionBudget that lets no pod go now and that a rollout would not respect by itself. *untraced*: what is known of
    pods from before the policy, None where nobody asks for their restart.
    """

    deployment: Mapping[str, Any]
    tracings: Sequence[GrpcTracing]
    undone: int = 0
    progressing: int = 0
    spans_seen: bool | None = None
    heard_for: float | None = 0.0
    failed_since: float = 0.0
    reverting: bool = False
    inherited: Mapping[str, frozenset[str]] | None = None
    policy_in_force: bool = True
    healthy_for: float = 0.0
    ended_for: float = 0.0
    age: float = math.inf
    failure: Failure | None = None
    reverted: Mapping[str, Reverted] = field(default_factory=dict)
    payload: str = ""
    budget: str = ""
    image_busy: bool = False
    image_proved: bool = False
    probed: Probed | None = None
    left_behind: tuple[str, ...] = ()
    untraced: Untraced | None = None


def decide(seen: Seen) -> Verdict:
    """Return what to do with the Deployment and what to tell its user. At most one write follows from it."""
    living = [tracing for tracing in seen.tracings if tracing.metadata.deletion_timestamp is None]
    selection = select(seen.deployment, living)
    if selection.match is Match.OWN or seen.deployment["metadata"].get("deletionTimestamp"):
        return Verdict(Action.NOTHING, State.SKIPPED, Reason.NOT_SELECTED)
    if not seen.reverting:
        verdict = through_policy(seen, living, selection, lambda: go_back(seen, selection))
        if verdict is not None:
            return verdict
    if seen.reverting or selection.match is not Match.SELECTED or selection.tracing is None:
        return go_back(seen, selection)
    tracing = selection.tracing
    try:
        wanted = plan(seen.deployment, tracing, seen.inherited, seen.probed)
        probe = unprobed(seen.deployment, tracing, seen.probed)
    except Refusal as refusal:
        # Whatever is in place stays: the last good state is better than a guess.
        return Verdict(
            Action.NOTHING,
            State.SKIPPED,
            Reason(refusal.reason),
            refusal.message,
            tracing=tracing.metadata.name,
            others=selection.others,
        )
    patch = build(seen.deployment, wanted)
    verdict = guard.not_again(seen, tracing, wanted)
    if verdict is None:
        verdict = (
            pending(seen, tracing, wanted, patch, probe) if patch else refined(settled(seen, tracing, wanted), wanted)
        )
        if verdict.action is not Action.INJECT:  # else this very patch may be the cure
            verdict = guard.take_back(seen, tracing, wanted) or verdict
    if verdict.action is Action.REVERT and seen.undone > UNDONE_LIMIT:
        verdict = contested(seen)
    asked = probe if tracing.spec.rollout.mode == "Apply" else ()
    return complete(verdict, seen, selection, wanted, notes(seen.probed, wanted), asked)


def pending(
    seen: Seen, tracing: GrpcTracing, wanted: Plan, patch: dict[str, Any], probe: tuple[str, ...] = ()
) -> Verdict:
    """Return the answer where something is to be written: whether now, later, or not at all."""
    spec, deployment = tracing.spec, seen.deployment
    names_of = ", ".join(item.name for item in wanted.containers)
    if spec.rollout.mode == "Plan":
        more = "The image is looked into before that, and may turn out to need less." if probe else ""
        waits = waiting(seen)
        return foretold(deployment, patch, more, f"At present it would wait: {waits.message}" if waits else "")
    if seen.undone > UNDONE_LIMIT:
        return contested(seen)
    if (waits := waiting(seen) or hold(seen.probed, probe)) is not None:
        return waits
    if seen.progressing >= spec.rollout.max_concurrent:
        return guard.wait(
            Reason.ROLLOUT_SLOT,
            f"Waits until fewer than {spec.rollout.max_concurrent} workloads roll out at once "
            "(spec.rollout.maxConcurrent).",
            guard.TURN,
        )
    return Verdict(Action.INJECT, State.PROGRESSING, Reason.PATCHING, f"Patching {names_of}.", patch=patch)


def waiting(seen: Seen) -> Verdict | None:
    """Return the answer where the Deployment itself, or what befell others, is a reason not to write now."""
    if seen.deployment["spec"].get("paused"):
        return guard.wait(Reason.PAUSED, "The rollout is paused; injection follows `kubectl rollout resume`.")
    # Where an injection is in place already, this patch may be the very cure.
    return (None if guard.carries(seen.deployment) else guard.must_wait(seen)) or guard.spare(seen)


def contested(seen: Seen) -> Verdict:
    """Return the answer to a tool that undoes what we write, again and again."""
    return Verdict(
        Action.NOTHING,
        State.DEGRADED,
        Reason.CONTESTED,
        f"Something else undid what was written {seen.undone} times while no image changed, so it is left alone. Let "
        f"the tool that owns this {kind_of(seen.deployment).name} apply its manifest instead of replacing the object (field "
        f"manager {names.FIELD_MANAGER} is ours), set spec.rollout.strategy to Admission, or annotate it {names.INJECT}=false.",
    )


def settled(seen: Seen, tracing: GrpcTracing, wanted: Plan) -> Verdict:
    """Return the answer where nothing is to be written: what has been seen of it so far."""
    state = rollout(seen.deployment)
    timeout = seconds(tracing.spec.rollout.health_timeout)
    if state is Rollout.RUNNING and seen.deployment["spec"].get("paused"):
        return guard.wait(Reason.PAUSED, "Patched; the rollout is paused and goes on with `kubectl rollout resume`.")
    if state is Rollout.STUCK or (state is Rollout.RUNNING and seen.failed_since > timeout):
        return Verdict(
            Action.NOTHING,
            State.DEGRADED,
            Reason.UNHEALTHY,
            f"Not healthy: {seen.failure.message if seen.failure else progress(seen.deployment)}. See `kubectl describe "
            f"{called(seen.deployment)}`; to go back, annotate it {names.INJECT}=false.",
        )
    if state is Rollout.RUNNING:
        left = max(timeout - seen.failed_since, 0.0) + 1.0
        return Verdict(
            Action.NOTHING,
            State.PROGRESSING,
            Reason.ROLLING_OUT,
            f"{progress(seen.deployment)}.",
            requeue=left if seen.ended_for > timeout else min(left, LOOK_SECONDS),
        )
    if state is Rollout.EMPTY:
        return Verdict(Action.NOTHING, State.INJECTED, Reason.SCALED_TO_ZERO, "Injected; there are no pods to trace.")
    if state is Rollout.HELD:
        return held(seen)
    verdict = healthy(seen, tracing, wanted)
    return verdict if guard.proved(seen) else replace(verdict, requeue=guard.STABLE)


def held(seen: Seen) -> Verdict:
    """Return the answer where the template carries it and pods wait for their user: that is as the user wants it."""
    pods = numbers(seen.deployment)
    why = "partition" if pods.replaced else "OnDelete"
    way_out = "when you lower that" if pods.replaced else "when you delete them (`kubectl delete pod`)"
    spans = " The Collector receives spans of the others." if seen.spans_seen else ""
    message = (
        f"Patched; {pods.desired - pods.updated} of {pods.desired} pods are still of the template before, as "
        f"spec.updateStrategy says ({why}): they get it {way_out}.{spans}"
    )
    return Verdict(Action.NOTHING, State.INJECTED, Reason.HELD_BACK, message)


def complete(
    verdict: Verdict, seen: Seen, selection: Selection, wanted: Plan, more: str, probe: tuple[str, ...]
) -> Verdict:
    """Return *verdict* with what all answers about a selected Deployment have in common."""
    return replace(
        verdict,
        message=" ".join(filter(None, (verdict.message, more, overrides(wanted)))),
        tracing=selection.tracing.metadata.name if selection.tracing else None,
        service=wanted.service,
        containers=tuple(item.name for item in wanted.containers),
        others=selection.others,
        probe=probe,
        image=image_digest(seen.deployment, seen.payload),
        proved=verdict.state in {State.INJECTED, State.INSTRUMENTED} and guard.proved(seen),
    )
