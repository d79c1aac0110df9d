"""The way back: what takes out an injection that nobody wants any more, and why nobody does. Pure, as `decide` is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpctracing.injection import guard, names
from grpctracing.injection.containers import Refusal
from grpctracing.injection.foretold import foretold
from grpctracing.injection.kinds import kind_of
from grpctracing.injection.patch import build
from grpctracing.injection.plan import Plan, plan
from grpctracing.injection.select import Match, Selection
from grpctracing.injection.verdict import Action, Reason, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.injection.decide import Seen


def go_back(seen: Seen, selection: Selection) -> Verdict:
    """Nobody wants it (any more): take out what is ours, if anything is."""
    if seen.reverting:
        reason, message = Reason.UNINSTALLING, "The operator is being uninstalled."
    elif selection.match is Match.OPTED_OUT:
        reason, message = Reason.OPTED_OUT, f"{names.INJECT} is false."
    elif selection.match is Match.UNKNOWN:
        reason = Reason.UNKNOWN_TRACING
        message = f'{names.INJECT}: there is no GrpcTracing "{selection.asked_for}" in this namespace. Create it, or write "true".'
    else:
        reason, message = Reason.NOT_SELECTED, not_selected(seen.deployment)
    patch = build(seen.deployment, None, remembered=last_plan(seen))
    if patch is not None and reason is not Reason.OPTED_OUT and (planner := planning(seen)) is not None:
        return foretold(seen.deployment, patch, message, tracing=planner.metadata.name)
    tracing = selection.tracing.metadata.name if selection.tracing else None
    action = Action.NOTHING if patch is None else Action.REVERT
    return Verdict(action, State.SKIPPED, reason, f"{message}{guard.left_behind(seen)}", patch=patch, tracing=tracing)


def not_selected(workload: Mapping[str, Any]) -> str:
    """Return what to say of a workload that nobody asks for."""
    kind = kind_of(workload).name
    more = "" if kind == "Deployment" else f" Annotate it {names.INJECT}=true, or list its kind in spec.kinds."
    return f"No GrpcTracing selects this {kind}.{more}"


def last_plan(seen: Seen) -> Plan | None:
    """Return the plan that put in what is there, if the object that it came from still exists."""
    for tracing in came_from(seen) or seen.tracings:
        try:
            return plan(seen.deployment, tracing, seen.inherited)
        except Refusal:
            continue  # it could not be put in today, but it may have been before: managedFields alone decides then
    return None


def came_from(seen: Seen) -> list[GrpcTracing]:
    """Return the object that the injection in place is of, as its volume tells."""
    volumes = seen.deployment["spec"]["template"]["spec"].get("volumes") or ()
    sources = {(volume.get("configMap") or {}).get("name") for volume in volumes if volume["name"] == names.VOLUME}
    return [tracing for tracing in seen.tracings if names.config_map_name(tracing.metadata.name) in sources]


def planning(seen: Seen) -> GrpcTracing | None:
    """Return the object that the injection in place is of, where that one changes nothing at present."""
    for tracing in came_from(seen):
        if tracing.spec.rollout.mode == "Plan" and tracing.metadata.deletion_timestamp is None and not seen.reverting:
            return tracing
    return None
