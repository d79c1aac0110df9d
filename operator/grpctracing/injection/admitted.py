"""What to say of a Deployment whose pods come through a policy (`rollout.strategy: Admission`); there is nothing to patch.

The policy sees pods, so all that counts of a Deployment here is its template: labels and annotations of the Deployment
itself reach nobody. The only write is one that takes out what the other strategy has put in; pods from before the policy
are a matter of `restart`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grpctracing.api import seconds
from grpctracing.injection import guard, names
from grpctracing.injection.containers import Refusal
from grpctracing.injection.digests import image_digest
from grpctracing.injection.failed import against
from grpctracing.injection.findings import Failure, Report
from grpctracing.injection.foretold import foretold, restarts
from grpctracing.injection.kinds import ON_DELETE, called, label_of, update_type
from grpctracing.injection.plan import insists, plan
from grpctracing.injection.preflight import pull_again, unprobed
from grpctracing.injection.restart import Untraced, finished, left_alone, restarting
from grpctracing.injection.rollout import Rollout, progress, rollout
from grpctracing.injection.select import Match, as_pod, select
from grpctracing.injection.spans import ELSEWHERE
from grpctracing.injection.verdict import Action, Reason, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grpctracing.api import GrpcTracing
    from grpctracing.injection.decide import Seen
    from grpctracing.injection.plan import Plan
    from grpctracing.injection.select import Selection

SLOT_SECONDS = 2.0
ADMISSION = "Admission"


def through_policy(
    seen: Seen, living: Sequence[GrpcTracing], selection: Selection, go_back: Callable[[], Verdict]
) -> Verdict | None:
    """Return the verdict on a Deployment whose pods a policy takes, or None where its own patch is what counts.

    *selection* goes by the Deployment's own labels and annotations; *go_back* says what takes our patch out.
    """
    pods = by_policy(seen.deployment, living, selection)
    if pods is None or pods.tracing is None:
        return misplaced(selection)
    tracing = pods.tracing
    revert = go_back()
    if revert.patch is not None:
        kept = (
            revert.reason is Reason.PLANNED and tracing.spec.rollout.mode != "Plan"
        )  # by the object that it came from
        return revert if kept else taking_out(seen, tracing, revert)
    if selection.match is Match.OPTED_OUT:
        message = moving(f'{names.INJECT}: "false"')
        return said(Action.NOTHING, State.DEGRADED, Reason.NOT_ON_TEMPLATE, message, tracing=tracing.metadata.name)
    pod = as_pod(seen.deployment)
    try:
        wanted = plan(pod, tracing, probed=seen.probed, by_policy=True)
        probe = unprobed(pod, tracing, seen.probed, by_policy=True)
    except Refusal as refusal:
        reason = Reason(refusal.reason)
        return said(Action.NOTHING, State.SKIPPED, reason, refusal.message, tracing=tracing.metadata.name)
    # Without a policy nobody is left alone by it, and nobody is looked into for nothing. Under Plan, one that is there stays.
    unknown = unlooked(seen, pod, wanted) if seen.policy_in_force else frozenset()
    looking = seen.policy_in_force and tracing.spec.rollout.mode == "Apply"
    chosen = tuple(item.name for item in wanted.containers if item.name not in unknown)
    if (held := kept_out(seen, tracing) or alone(seen, tracing, chosen, probe)) is not None:
        return held
    verdict = standing(seen, tracing, wanted, chosen) if seen.policy_in_force else waiting(seen, tracing, chosen)
    return replace(
        verdict,
        tracing=tracing.metadata.name,
        service=wanted.service,
        containers=chosen,
        others=pods.others,
        image=image_digest(seen.deployment, seen.payload),
        proved=verdict.state is State.INSTRUMENTED or (verdict.state is State.INJECTED and finished(seen)),
        probe=probe if looking else (),
        requeue=min(filter(None, (verdict.requeue, pull_again(seen.probed) if looking else None)), default=None),
    )


def unlooked(seen: Seen, pod: Mapping[str, Any], wanted: Plan) -> frozenset[str]:
    """Return the containers that the policy leaves alone as long as nothing is known of their images.

    It goes by an image's name, so it may know one from another container, or of its repository, that is missing here.
    """
    live = {item["name"]: item for item in pod["spec"]["template"]["spec"]["containers"]}
    return frozenset(
        item.name
        for item in wanted.containers
        if item.bootstrap
        and seen.probed is not None
        and not isinstance(seen.probed.get(item.name), Report)
        and not insists(pod, live[item.name])
    )


def alone(seen: Seen, tracing: GrpcTracing, chosen: Sequence[str], probe: tuple[str, ...]) -> Verdict | None:
    """Return the answer where nothing is known of any image, or None: what one sets itself must not be hidden from its application."""
    if chosen:
        return None
    name = tracing.metadata.name
    if probe and tracing.spec.rollout.mode == "Plan":
        message = (
            f"Left alone by the policy: nobody has looked into the image of {', '.join(probe)}, and while spec.rollout.mode "
            "is Plan nobody does."
        )
        return said(Action.NOTHING, State.PENDING, Reason.PLANNED, message, tracing=name)
    if probe:
        message = f"Left alone by the policy until a preflight pod has looked into the image of {', '.join(probe)}."
        return replace(said(Action.NOTHING, State.PENDING, Reason.PROBING, message, tracing=name), probe=probe)
    why = next((finding.why for finding in (seen.probed or {}).values() if isinstance(finding, Failure)), "no report")
    message = (
        f"The image could not be probed ({why}), so the policy leaves it alone, unless it knows another tag of it. To "
        f"have it traced all the same, annotate the pod template {names.BOOTSTRAP}=true; a PYTHONPATH that the image "
        "sets (ENV) has to be repeated there."
    )
    requeue = pull_again(seen.probed) if tracing.spec.rollout.mode == "Apply" else None
    return said(Action.NOTHING, State.SKIPPED, Reason.PREFLIGHT_FAILED, message, tracing=name, requeue=requeue)


def kept_out(seen: Seen, tracing: GrpcTracing) -> Verdict | None:
    """Return the answer where the policy leaves the pods alone because their images have failed with the injection, or None."""
    record = against(seen.reverted, seen.deployment, seen.payload)
    if record is None:
        return None
    own = record.label == label_of(seen.deployment)
    whose = "its rollout" if own else f'that of "{record.label}", which has the same,'
    message = (
        f"Left alone by the policy, as are all new pods with its images: {whose} failed with the injection: {record.evidence}. "
        f"Tried again when an image or the release changes, or when you annotate the pod template {names.RETRY}=true."
    )
    state, reason = (State.DEGRADED, Reason.REVERTED) if own else (State.SKIPPED, Reason.IMAGE_REVERTED)
    # Meanwhile its pods that broke may be waited for.
    ours = seen.policy_in_force and tracing.spec.rollout.mode == "Apply" and update_type(seen.deployment) != ON_DELETE
    waits = ours and rollout(seen.deployment) in {Rollout.RUNNING, Rollout.STUCK}
    requeue = max(guard.STABLE, seen.failed_since / 6) if waits else None
    return said(Action.NOTHING, state, reason, message, tracing=tracing.metadata.name, requeue=requeue)


def governing(deployment: Mapping[str, Any], living: Sequence[GrpcTracing]) -> GrpcTracing | None:
    """Return the object that the verdict on *deployment* goes by: the one whose policy takes its pods, or that selects it."""
    selection = select(deployment, living)
    pods = by_policy(deployment, living, selection)
    return (pods or selection).tracing


def by_policy(deployment: Mapping[str, Any], living: Sequence[GrpcTracing], selection: Selection) -> Selection | None:
    """Return to what the pods of *deployment* belong, where that is a policy and *selection* is no other object's patch."""
    if not any(tracing.spec.rollout.strategy == ADMISSION for tracing in living) or patches(selection):
        return None
    found = select(as_pod(deployment), living)
    return found if found.match is Match.SELECTED and not patches(found) else None


def patches(selection: Selection) -> bool:
    """Tell whether a Deployment that is so selected is patched."""
    tracing = selection.tracing if selection.match is Match.SELECTED else None
    return tracing is not None and tracing.spec.rollout.strategy != ADMISSION


def moving(what: str) -> str:
    """Return the way out where a wish stands in the wrong place."""
    return f"{what}: written on the workload, where a policy can't see it. Write it under spec.template.metadata."


def misplaced(selection: Selection) -> Verdict | None:
    """Return what to say where the Deployment asks for a policy and its pods do not; None where it does not ask."""
    tracing = selection.tracing if selection.match is Match.SELECTED else None
    if tracing is None or patches(selection):
        return None
    message = moving(f"{names.INJECT} or the labels that select it")
    return said(Action.NOTHING, State.SKIPPED, Reason.NOT_ON_TEMPLATE, message, tracing=tracing.metadata.name)


def taking_out(seen: Seen, tracing: GrpcTracing, revert: Verdict) -> Verdict:
    """Return when our patch is taken out of a Deployment whose next pods come through the policy."""
    rollout_ = tracing.spec.rollout
    name = tracing.metadata.name
    if abandoned(seen):  # whoever put it in waits for that before it goes
        message = "The GrpcTracing that the patch came from is going, or gone."
        return said(Action.REVERT, State.PROGRESSING, Reason.PATCHING, message, tracing=name, patch=revert.patch)
    if rollout_.mode == "Plan":
        return foretold(seen.deployment, revert.patch or {}, "New pods would come through the policy.", tracing=name)
    if not seen.policy_in_force:
        message = "Waits for the policy before the patch is taken out."
        return said(Action.WAIT, State.PENDING, Reason.PREPARING, message, tracing=name)
    if seen.progressing >= rollout_.max_concurrent:
        message = f"Waits until fewer than {rollout_.max_concurrent} workloads roll out at once."
        return said(Action.WAIT, State.PENDING, Reason.ROLLOUT_SLOT, message, tracing=name, requeue=SLOT_SECONDS)
    message = "New pods come through the policy instead."
    return said(Action.REVERT, State.PROGRESSING, Reason.PATCHING, message, tracing=name, patch=revert.patch)


def abandoned(seen: Seen) -> bool:
    """Tell whether the patch came from a GrpcTracing that is being deleted or no longer there."""
    living = {names.config_map_name(t.metadata.name) for t in seen.tracings if t.metadata.deletion_timestamp is None}
    volumes = seen.deployment["spec"]["template"]["spec"].get("volumes") or ()
    sources = {(each.get("configMap") or {}).get("name") for each in volumes if each["name"] == names.VOLUME}
    return bool(sources) and not sources & living


def waiting(seen: Seen, tracing: GrpcTracing, chosen: Sequence[str]) -> Verdict:
    """Return what `standing` does, while there is no policy."""
    rules = tracing.spec.rollout
    if rules.mode != "Plan":
        return Verdict(Action.NOTHING, State.PENDING, Reason.PREPARING, "Waits for the policy.")
    pods = restarts(seen.deployment) if rules.restart_existing else 0
    pods = 0 if left_alone(seen.deployment, tracing, Untraced(pods)) else pods
    before = f" Its {pods} pods from before would be evicted, one after the other." if pods else ""
    text = (
        f"New pods would get it in {', '.join(chosen)}; spec.rollout.mode is Plan, so no policy is written, and one from "
        f"before stays as it is.{before}"
    )
    return Verdict(Action.NOTHING, State.PENDING, Reason.PLANNED, text, restarts=pods)


def standing(seen: Seen, tracing: GrpcTracing, wanted: Plan, chosen: Sequence[str]) -> Verdict:
    """Return how a workload does whose new pods come through the policy: what has been seen, and no more."""
    if (verdict := restarting(seen, tracing, wanted)) is not None:
        return verdict
    deployment = seen.deployment
    state, timeout = rollout(deployment), seconds(tracing.spec.rollout.health_timeout)
    if state is Rollout.STUCK or (state is Rollout.RUNNING and seen.failed_since > timeout):
        text = (
            f"Not healthy: {progress(deployment)}. Its new pods come through the policy; to leave them out, annotate "
            f"its pod template {names.INJECT}=false."
        )
        return Verdict(Action.NOTHING, State.DEGRADED, Reason.UNHEALTHY, text)
    if state is Rollout.RUNNING:
        left = max(timeout - seen.failed_since, 0.0) + 1.0
        soon = left if seen.untraced is None else min(left, guard.STABLE)
        text = f"{progress(deployment)}."
        return Verdict(Action.NOTHING, State.PROGRESSING, Reason.ROLLING_OUT, text, requeue=soon)
    if state is Rollout.EMPTY:
        text = "Injected when they come; there are no pods to trace."
        return Verdict(Action.NOTHING, State.INJECTED, Reason.SCALED_TO_ZERO, text)
    before, requeue = from_before(seen, tracing)
    if seen.spans_seen:
        text = f"Healthy, and the Collector receives its spans.{before if seen.untraced else ''}"
        return Verdict(Action.NOTHING, State.INSTRUMENTED, Reason.SPANS_SEEN, text, requeue=requeue)
    external = tracing.spec.collector.mode == "External"
    text = (
        f"New pods get it when they are made{f'. {ELSEWHERE}' if external else '; no span has been seen of the present ones.'}"
        f"{before}{unread(deployment, chosen)}"
    )
    reason = Reason.UNVERIFIED if external else Reason.THROUGH_ADMISSION
    return Verdict(Action.NOTHING, State.INJECTED, reason, text, requeue=requeue)


def from_before(seen: Seen, tracing: GrpcTracing) -> tuple[str, float | None]:
    """Return what there is to say of pods that were made before the policy, and when to look at them again (seconds)."""
    way_out = f" Those from before: `kubectl rollout restart {called(seen.deployment)}`"
    if (pods := seen.untraced) is None:
        return f"{way_out}.", None
    if why := left_alone(seen.deployment, tracing, pods):
        return f"{way_out}; {pods.left} of them stay: {why}.", pods.again
    return "", None if finished(seen) or rollout(seen.deployment) is not Rollout.COMPLETE else guard.STABLE


def unread(deployment: Mapping[str, Any], chosen: Sequence[str]) -> str:
    """Return which containers are left alone because nobody can look into what they take by `envFrom`."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    left = [
        item["name"] for item in containers if item.get("envFrom") and item["name"] not in {*names.SIDECARS, *chosen}
    ]
    return f" Left alone because of envFrom, unless {names.CONTAINERS} names it: {', '.join(left)}." if left else ""


def said(
    action: Action,
    state: State,
    reason: Reason,
    message: str,
    *,
    tracing: str,
    patch: dict[str, Any] | None = None,
    requeue: float | None = None,
) -> Verdict:
    """Return a verdict about a Deployment of which no container is instrumented now."""
    return Verdict(action, state, reason, message, patch=patch, tracing=tracing, requeue=requeue)
