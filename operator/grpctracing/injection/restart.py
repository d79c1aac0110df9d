"""Pods from before the policy (`rollout.restartExisting`): when the next of them is evicted, and when that has gone wrong. Pure.

An eviction and no change of the pod template: no workload is written, and the API server itself obeys the disruption
budgets. It takes a pod before the next is there, which a rollout need not do, so it is for those who have others meanwhile
and have not said that they can miss none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from grpctracing.api import MAX_RETRY, Reverted, seconds
from grpctracing.injection import guard, names
from grpctracing.injection.budget import takes_pods
from grpctracing.injection.digests import image_digest, planned
from grpctracing.injection.failed import asked_for
from grpctracing.injection.failure import Cause, Failure
from grpctracing.injection.kinds import ON_DELETE, kind_of, numbers, update_type
from grpctracing.injection.preflight import hold, unprobed
from grpctracing.injection.rollout import Rollout, observed, progress, rollout
from grpctracing.injection.select import as_pod
from grpctracing.injection.verdict import Action, Reason, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.injection.decide import Seen
    from grpctracing.injection.plan import Plan

    Object = Mapping[str, Any]

SAFE_TO_EVICT: Final = "cluster-autoscaler.kubernetes.io/safe-to-evict"
AGAINST_IMAGE: Final = frozenset({Cause.CRASH, Cause.START, Cause.NOT_READY})
"""What may come of an image and the bootstrap together, a path that can't be mounted included."""
LEAST: Final = 2
"""Pods that a workload needs to have for one of them to be taken."""


@dataclass(frozen=True, slots=True)
class Untraced:
    """What is known of the pods of one template: how many are *left* that do not carry the injection.

    *begun*: some have been evicted. *sure*: since the last of these all its pods were seen well again. *failure*: what is
    wrong with pods that carry it. *trouble*: why none is evicted; *budget*: a disruption budget allows none to go; *again*:
    in how many seconds either may be over.
    """

    left: int
    begun: bool = False
    sure: bool = True
    failure: Failure | None = None
    trouble: str = ""
    again: float | None = None
    budget: bool = False


def restarting(seen: Seen, tracing: GrpcTracing, wanted: Plan) -> Verdict | None:
    """Return the answer where pods from before the policy are being replaced, or wait for it; None where that is no question."""
    if (pods := seen.untraced) is None:
        return None
    if (failure := failed(seen, tracing)) is not None:
        return gone_wrong(seen, wanted, failure)
    state = rollout(seen.deployment)
    if state is Rollout.RUNNING and pods.begun and seen.failed_since <= seconds(tracing.spec.rollout.health_timeout):
        return under_way(seen, pods)
    if state is not Rollout.COMPLETE or left_alone(seen.deployment, tracing, pods):
        return None
    settled = not pods.begun or (pods.sure and seen.healthy_for >= guard.STABLE)
    if settled and pods.left:
        return waiting(seen, tracing, pods) or under_way(seen, pods, Action.RESTART)
    return None if settled else under_way(seen, pods)


def under_way(seen: Seen, pods: Untraced, action: Action = Action.NOTHING) -> Verdict:
    """Return the answer while pods are being replaced."""
    message = f"Evicts pods from before the policy, one after the other: {pods.left} left; {progress(seen.deployment)}."
    return Verdict(action, State.PROGRESSING, Reason.RESTARTING, message, requeue=guard.STABLE)


def waiting(seen: Seen, tracing: GrpcTracing, pods: Untraced) -> Verdict | None:
    """Return what the next eviction waits for, or None."""
    most = tracing.spec.rollout.max_concurrent
    if seen.deployment["spec"].get("paused"):
        return guard.wait(Reason.PAUSED, "The rollout is paused; pods from before the policy stay until it is resumed.")
    if not pods.begun and (waits := guard.must_wait(seen) or unknown(seen, tracing)) is not None:
        return waits
    if pods.budget:
        message = f"A PodDisruptionBudget lets no pod go at present; {pods.left} from before the policy are left."
        return guard.wait(Reason.DISRUPTION_BUDGET, message, pods.again or guard.TURN)
    if seen.progressing >= most:
        message = f"Waits until fewer than {most} workloads roll out at once (spec.rollout.maxConcurrent)."
        return guard.wait(Reason.ROLLOUT_SLOT, message, guard.TURN)
    if seen.healthy_for < guard.STABLE:
        return guard.wait(Reason.PREPARING, "Waits until its pods have been well for some seconds.", guard.STABLE)
    return None


def unknown(seen: Seen, tracing: GrpcTracing) -> Verdict | None:
    """Return the answer while not all of its images are known: evicted now, its pods would get a part of it for good."""
    return hold(seen.probed, unprobed(as_pod(seen.deployment), tracing, seen.probed, by_policy=True))


def left_alone(workload: Object, tracing: GrpcTracing, pods: Untraced) -> str:
    """Return why pods from before the policy are not evicted, or ""."""
    if not pods.left:
        return ""
    return pods.trouble or by_its_user(workload, tracing)


def by_its_user(workload: Object, tracing: GrpcTracing) -> str:
    """Return what a workload is like for which an eviction is no way, or ""."""
    kind, annotations = kind_of(workload).name, annotations_of(workload)
    surges = (workload["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    misses_none = kind == "DaemonSet" or str(surges.get("maxUnavailable")) in {"0", "0%"}
    reasons = {
        "under OnDelete they are yours to delete": update_type(workload) == ON_DELETE,
        f"of a {kind} only where spec.kinds lists that, or its pod template is annotated {names.INJECT}": (
            kind not in tracing.spec.kinds and not annotations.get(names.INJECT)
        ),
        f"{SAFE_TO_EVICT} is false": annotations.get(SAFE_TO_EVICT) == "false",
        "a rollout of it takes no pod before the next is there, and an eviction does": (
            misses_none and not takes_pods(workload)
        ),
        "an eviction would take its only pod before the next is there": (
            kind != "DaemonSet" and numbers(workload).desired < LEAST
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def annotations_of(workload: Object) -> Object:
    """Return the annotations that the pods of *workload* have."""
    return (workload["spec"]["template"].get("metadata") or {}).get("annotations") or {}


def finished(seen: Seen) -> bool:
    """Tell whether all pods carry the injection, and have been well for a while: a proof for their image."""
    pods = seen.untraced
    return pods is not None and not pods.left and pods.sure and guard.proved(seen)


def failed(seen: Seen, tracing: GrpcTracing) -> Failure | None:
    """Return what pods that came through the policy have failed of, if they have; a quota or a missing image is no proof."""
    failure = seen.untraced.failure if seen.untraced else None
    if failure is None or not failure.ours or failure.cause not in AGAINST_IMAGE:
        return None
    deployment, state = seen.deployment, rollout(seen.deployment)
    current = observed(deployment) and failure.generation == deployment["metadata"].get("generation")
    if state not in {Rollout.RUNNING, Rollout.STUCK} or deployment["spec"].get("paused") or not current:
        return None
    stuck = state is Rollout.STUCK or seen.failed_since > seconds(tracing.spec.rollout.health_timeout)
    return failure if failure.at_once or stuck else None


def gone_wrong(seen: Seen, wanted: Plan, failure: Failure) -> Verdict:
    """Return the answer that keeps the images of a workload out of the policy from now on."""
    deployment = seen.deployment
    record = Reverted(
        kind=kind_of(deployment).name,
        name=deployment["metadata"]["name"],
        injection=planned(deployment, wanted, seen.payload),
        image=image_digest(deployment, seen.payload),
        retry=asked_for(deployment)[:MAX_RETRY],
        evidence=failure.message,
    )
    message = f"Its new pods fail with the injection, so the policy leaves them alone from now on: {failure.message}."
    return Verdict(Action.NOTHING, State.DEGRADED, Reason.REVERTED, message, record=record, requeue=guard.TURN)


def successor(workload: Object, pod: Object) -> dict[str, Any]:
    """Return the pod that would now be made in place of *pod*, as far as a policy or a quota looks at it."""
    template, label = workload["spec"]["template"], kind_of(workload).hash_label
    metadata, spec = template.get("metadata") or {}, template["spec"]
    volumes = list(spec.get("volumes") or ())
    known = {volume["name"] for volume in volumes}
    # What a StatefulSet makes of its volumeClaimTemplates stands in its pods alone.
    claims = [each for each in pod["spec"].get("volumes") or () if "persistentVolumeClaim" in each]
    volumes += [claim for claim in claims if claim["name"] not in known]
    owners = [
        # Without this, for which the API server asks a right to the owner.
        {key: value for key, value in owner.items() if key != "blockOwnerDeletion"}
        for owner in pod["metadata"].get("ownerReferences") or ()
    ]
    labels = {**(metadata.get("labels") or {}), label: (pod["metadata"].get("labels") or {}).get(label, "")}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": pod["metadata"].get("generateName") or f"{workload['metadata']['name']}-",
            "labels": labels,
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": owners,
        },
        "spec": {**spec, **({"volumes": volumes} if volumes else {})},
    }
