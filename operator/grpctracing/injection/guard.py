"""The rollout guard: who has to wait before it is injected, and whose injection is taken back and not tried again.

What was taken back is remembered in the GrpcTracing's status, per workload, as a digest of all that could make the next
try end differently: images, bootstrap, what is injected. So a restart of the operator forgets nothing, and a change of any
of these is a new try by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grpctracing.api import MAX_RETRY, MAX_REVERTED, Reverted, seconds
from grpctracing.injection import names
from grpctracing.injection.digests import alike, image_digest, in_place, planned
from grpctracing.injection.failure import Cause, Failure
from grpctracing.injection.kinds import kind_of, label_of, numbers
from grpctracing.injection.patch import build
from grpctracing.injection.rollout import Rollout, observed, progress, rollout
from grpctracing.injection.select import annotation
from grpctracing.injection.verdict import Action, Reason, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.injection.decide import Seen
    from grpctracing.injection.plan import Plan

NEW: Final = 10.0
"""Seconds for which a Deployment is new: its first pods are only starting, so nothing is known of them and nobody is hurt."""
STABLE: Final = 5.0
"""Seconds for which pods have to stay available to prove their image: without a probe, a crash looks available at first."""
LONG_AGO: Final = 60.0
"""Seconds after the end of a rollout when that is no question any more, also where nobody has watched the pods since."""
TURN: Final = 2.0
"""Seconds after which a workload that waits for its turn asks again."""
BUDGET: Final = 15.0
"""Seconds after which is looked again whether a disruption budget allows a rollout: no event tells."""
AGAIN: Final = 60.0
"""Seconds after which is looked again whether what was taken back elsewhere still speaks against it: no event tells."""
CAUSED_BY_IMAGE: Final = frozenset({Cause.CRASH, Cause.NOT_READY})


def not_again(seen: Seen, tracing: GrpcTracing, wanted: Plan) -> Verdict | None:
    """Return the answer where what is *wanted* has failed before; None where nothing speaks against it."""
    record = remembered(seen, wanted)
    return None if record is None else without_it(seen, tracing, wanted, record)


def take_back(seen: Seen, tracing: GrpcTracing, wanted: Plan) -> Verdict | None:
    """Return the answer where the injection that is in place fails; None where it does not."""
    failure = failed(seen, tracing) if carries(seen.deployment) else None
    return None if failure is None else without_it(seen, tracing, wanted, to_remember(seen, wanted, failure))


def without_it(seen: Seen, tracing: GrpcTracing, wanted: Plan, record: Reverted) -> Verdict | None:
    """Return the answer that takes out what *record* speaks of, or says that it is out."""
    undo = build(seen.deployment, None, remembered=wanted)
    if undo is None:
        return Verdict(Action.NOTHING, State.DEGRADED, Reason.REVERTED, told(record, without(seen)))
    if tracing.spec.rollout.mode == "Plan":
        return None  # change nothing means also this
    return Verdict(Action.REVERT, State.DEGRADED, Reason.REVERTED, told(record), patch=undo, record=record)


def remembered(seen: Seen, wanted: Plan) -> Reverted | None:
    """Return the record of this workload, if it speaks of what would be injected now and nobody asked for another try."""
    record = seen.reverted.get(label_of(seen.deployment))
    if record is None or retry(seen.deployment) not in {"", record.retry}:
        return None
    now = planned(seen.deployment, wanted, seen.payload)
    chosen = [item.name for item in wanted.containers]
    return record if alike(record.injection, now, seen.probed, chosen) else None


def to_remember(seen: Seen, wanted: Plan, failure: Failure) -> Reverted:
    """Return the record of the injection that is in place and failed."""
    deployment = seen.deployment
    return Reverted(
        kind=kind_of(deployment).name,
        name=deployment["metadata"]["name"],
        injection=in_place(deployment, wanted, seen.payload),
        image=image_digest(deployment, seen.payload) if failure.cause in CAUSED_BY_IMAGE else "",
        retry=retry(deployment),
        evidence=failure.message,
    )


def failed(seen: Seen, tracing: GrpcTracing) -> Failure | None:
    """Return what a rollout with our injection has failed of, if it has.

    Only until it has ended, and for `healthTimeout` after that: what befalls an application later is not laid at our door,
    and a mass restart would be the last thing that it needs then. A rollout that moves on is slow, not stuck.
    """
    deployment, failure = seen.deployment, seen.failure
    state = rollout(deployment)
    if state not in {Rollout.RUNNING, Rollout.STUCK} or (failure is not None and not failure.ours):
        return None
    timeout = seconds(tracing.spec.rollout.health_timeout)
    if deployment["spec"].get("paused") or not observed(deployment) or seen.ended_for > timeout:
        return None
    stuck = state is Rollout.STUCK or seen.failed_since > timeout
    if failure is not None and (failure.at_once or stuck):
        return failure
    return Failure(Cause.NOT_READY, progress(deployment)) if stuck else None


def told(record: Reverted, now: str = "") -> str:
    """Return what a user is told of an injection that is taken back; *now* is how the workload does without it."""
    return (
        f"Taken back after its rollout failed: {record.evidence}.{now} Tried again when its image, the release or what is "
        f"injected changes, or when you annotate it {names.RETRY} with a new value."
    )


def without(seen: Seen) -> str:
    """Return how a workload does that is no longer injected: whether that was the cause is for its user to judge."""
    if seen.left_behind:
        return left_behind(seen)
    deployment = seen.deployment
    match rollout(deployment):
        case Rollout.COMPLETE:
            return " It is healthy without it."
        case Rollout.STUCK:
            return f" It is not healthy without it either ({progress(deployment)})."
        case _:
            return ""


def left_behind(seen: Seen) -> str:
    """Return what to do about pods that broke with the injection and that nothing replaces."""
    pods = seen.left_behind
    return f" Nothing replaces what broke with it: `kubectl delete pod {' '.join(pods)}`." if pods else ""


def must_wait(seen: Seen) -> Verdict | None:
    """Return the answer where a first injection has to wait, or None where it may go on."""
    state, where = rollout(seen.deployment), progress(seen.deployment)
    others = [record for record in seen.reverted.values() if record.label != label_of(seen.deployment)]
    if not is_new(seen) and state in {Rollout.RUNNING, Rollout.STUCK}:
        if state is Rollout.RUNNING and rolls(seen.deployment):
            return wait(Reason.OTHER_ROLLOUT, f"Rolls out for another reason ({where}); injection follows.")
        return wait(Reason.NOT_HEALTHY, f"Not healthy without injection ({where}); injection follows when it is.")
    image = image_digest(seen.deployment, seen.payload)
    twin = next((record for record in others if record.image == image), None)
    if twin is not None and not retry(seen.deployment):
        return Verdict(
            Action.NOTHING,
            State.SKIPPED,
            Reason.IMAGE_REVERTED,
            f'Has the image of "{twin.label}", which failed with the injection: {twin.evidence}. Tried when the image or the '
            f"release changes, or when you annotate it {names.RETRY}=true.",
            requeue=AGAIN,
        )
    if len(others) >= MAX_REVERTED:
        return wait(
            Reason.TOO_MANY_REVERTED,
            f"{len(others)} workloads of this GrpcTracing have been taken back, so no other is tried: see status.reverted.",
            AGAIN,
        )
    if seen.image_busy and not seen.image_proved:
        return wait(
            Reason.FIRST_OF_IMAGE, "Waits for another workload with its images, which goes first and alone.", TURN
        )
    return None


def spare(seen: Seen) -> Verdict | None:
    """Return the answer where a rollout would take pods that the application may not miss now, or None.

    Where it is not healthy anyway, a patch may be the cure, and has no pods to take that were there.
    """
    if not seen.budget or rollout(seen.deployment) not in {Rollout.COMPLETE, Rollout.HELD}:
        return None
    return wait(
        Reason.DISRUPTION_BUDGET,
        f'PodDisruptionBudget "{seen.budget}" lets no pod go at present, and a rollout takes one before the next is there. '
        f"Where it never does, {'' if kind_of(seen.deployment).stuck else 'have new pods made first (maxSurge: 1, maxUnavailable: 0), or '}"
        "widen the budget for the rollout.",
        BUDGET,
    )


def wait(reason: Reason, message: str, requeue: float | None = None) -> Verdict:
    """Return the verdict on a workload that is not patched yet."""
    return Verdict(Action.WAIT, State.PENDING, reason, message, requeue=requeue)


def is_new(seen: Seen) -> bool:
    """Tell whether no pod of the workload has had the time to be anything yet."""
    status = seen.deployment.get("status") or {}
    return not status.get("observedGeneration") or (seen.age < NEW and not numbers(seen.deployment).available)


def rolls(deployment: Mapping[str, Any]) -> bool:
    """Tell whether pods are being replaced, rather than all new and not all available."""
    pods = numbers(deployment)
    return not observed(deployment) or pods.updated != pods.total or pods.updated < pods.desired


def proved(seen: Seen) -> bool:
    """Tell whether the injected pods show that image and bootstrap go together."""
    lasting = bool(seen.spans_seen) or seen.healthy_for >= STABLE or seen.ended_for >= LONG_AGO
    return lasting and rollout(seen.deployment) is Rollout.COMPLETE


def carries(deployment: Mapping[str, Any]) -> bool:
    """Tell cheaply whether a Deployment is injected: every injected container has our name of its pod."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return any(entry["name"] == names.POD_NAME for container in containers for entry in container.get("env") or ())


def retry(deployment: Mapping[str, Any]) -> str:
    """Return the annotation with which a user asks for another try, or ""."""
    return (annotation(deployment, names.RETRY) or "")[:MAX_RETRY]
