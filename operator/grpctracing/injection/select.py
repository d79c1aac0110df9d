"""Which GrpcTracing, if any, a workload belongs to.

The annotation decides before any selector, "false" before everything (on the Deployment or on its template: whoever
says no is heard). Of several that match, the oldest wins, so that a new object never takes over running workloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from grpctracing.injection import names
from grpctracing.injection.kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grpctracing.api import GrpcTracing, LabelSelector


class Match(StrEnum):
    """How a Deployment and the objects of its namespace came together, or why not."""

    SELECTED = "Selected"
    NONE = "NotSelected"
    OPTED_OUT = "OptedOut"
    UNKNOWN = "UnknownTracing"
    OWN = "OwnObject"


@dataclass(frozen=True, slots=True)
class Selection:
    """The object that a Deployment belongs to; *others* also matched and stand back."""

    match: Match
    tracing: GrpcTracing | None = None
    others: tuple[str, ...] = ()
    asked_for: str = ""


def annotation(deployment: Mapping[str, Any], key: str) -> str | None:
    """Return an annotation of the Deployment, else of its pod template, stripped of white space."""
    for holder in (deployment, deployment["spec"]["template"]):
        value = ((holder.get("metadata") or {}).get("annotations") or {}).get(key)
        if value is not None:
            return str(value).strip()
    return None


def as_pod(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Return a workload with nothing about it but what its pods show."""
    template = deployment["spec"]["template"].get("metadata") or {}
    shown = {key: template.get(key) or {} for key in ("labels", "annotations")}
    kept = {key: deployment["metadata"][key] for key in ("name", "namespace")}
    return {**deployment, "metadata": {**kept, **shown}}


def opted_out(deployment: Mapping[str, Any]) -> bool:
    """Tell whether the Deployment or its template says `grpctracing.dev/inject: "false"`."""
    holders = (deployment, deployment["spec"]["template"])
    values = (((holder.get("metadata") or {}).get("annotations") or {}).get(names.INJECT, "") for holder in holders)
    return any(str(value).strip().lower() == "false" for value in values)


def is_own(deployment: Mapping[str, Any]) -> bool:
    """Tell whether the Deployment is the operator or something that it made: tracing these would be a loop."""
    labels = deployment["metadata"].get("labels") or {}
    return (
        labels.get(names.MANAGED_BY_LABEL) == names.FIELD_MANAGER or labels.get(names.NAME_LABEL) == names.OPERATOR_NAME
    )


def age(tracing: GrpcTracing) -> tuple[str, str]:
    """Sort key: oldest first, then by name (RFC 3339 times in UTC sort as text)."""
    return (str(tracing.metadata.creation_timestamp or ""), tracing.metadata.name)


def select(deployment: Mapping[str, Any], tracings: Sequence[GrpcTracing]) -> Selection:
    """Return the GrpcTracing of *tracings* (all of the Deployment's namespace, none being deleted) that it belongs to."""
    if is_own(deployment):
        return Selection(Match.OWN)
    wish = annotation(deployment, names.INJECT) or ""
    labels = deployment["metadata"].get("labels") or {}
    matching = [t for t in tracings if t.spec.selector is not None and matches(t.spec.selector, labels)]
    selecting = [t for t in matching if is_for(t, kind_of(deployment).name)]
    if opted_out(deployment):
        waiting = sorted(selecting, key=age)
        return Selection(Match.OPTED_OUT, waiting[0] if waiting else None)
    if not wish:
        candidates = selecting
    elif wish.lower() == "true":
        open_to_all = [t for t in tracings if t.spec.selector is None]
        # An explicit wish is heard even where every selector looks elsewhere, and whatever the kind.
        candidates = matching + open_to_all or list(tracings)
    else:
        candidates = [t for t in tracings if t.metadata.name == wish]
        if not candidates:
            return Selection(Match.UNKNOWN, asked_for=wish)
    if not candidates:
        return Selection(Match.NONE)
    first, *rest = sorted(candidates, key=age)
    return Selection(Match.SELECTED, first, tuple(t.metadata.name for t in rest))


def is_for(tracing: GrpcTracing, kind: str) -> bool:
    """Tell whether the selector of *tracing* is for a kind of workload; that of a policy is for pods, whatever makes them."""
    return tracing.spec.rollout.strategy == "Admission" or kind in tracing.spec.kinds


def matches(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Evaluate a `metav1.LabelSelector`; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for expression in selector.match_expressions:
        value = labels.get(expression.key)
        holds = {
            "In": value in expression.values,
            "NotIn": value not in expression.values,  # also where the label is absent, as in Kubernetes
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[expression.operator]
        if not holds:
            return False
    return True
