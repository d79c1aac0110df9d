"""What a PodDisruptionBudget has to say about a rollout of ours.

A rollout goes through no eviction, so nothing but we ourselves keeps it from taking pods of an application that may spare
none at present. Where it makes a new pod before it takes an old one, it takes none that is missed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from grpctracing.api import LabelSelector
from grpctracing.injection.kinds import kind_of, numbers
from grpctracing.injection.select import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Object = Mapping[str, Any]


def exhausted(workload: Object, budgets: Iterable[Object]) -> str:
    """Return the name of one of *budgets* (of the workload's namespace) that lets no pod of *workload* go now, or ""."""
    if not takes_pods(workload):
        return ""
    labels = (workload["spec"]["template"].get("metadata") or {}).get("labels") or {}
    names = [each["metadata"]["name"] for each in budgets if selects(each, labels) and spares_none(each)]
    return min(names, default="")


def takes_pods(workload: Object) -> bool:
    """Tell whether a rollout may take a pod before its successor is available."""
    spec, replicas = workload["spec"], numbers(workload).replaced
    strategy = spec.get("strategy") or spec.get("updateStrategy") or {}
    bounds = strategy.get("rollingUpdate") or {}
    if (
        kind_of(workload).name != "Deployment"
    ):  # both replace pods in their place; a DaemonSet may be told to make new ones first
        return replicas > 0 and not number(bounds.get("maxSurge", 0), replicas)
    if strategy.get("type") == "Recreate":
        return True
    missing = math.floor(number(bounds.get("maxUnavailable", "25%"), replicas))
    more = math.ceil(number(bounds.get("maxSurge", "25%"), replicas))
    return missing > 0 or more == 0  # where both are nothing, one pod goes first (k8s.io/kubectl, ResolveFenceposts)


def number(bound: int | str, replicas: int) -> float:
    """Return an IntOrString of so many *replicas*."""
    return bound if isinstance(bound, int) else int(bound.removesuffix("%")) * replicas / 100


def selects(budget: Object, labels: Mapping[str, str]) -> bool:
    """Tell whether pods with *labels* are in the budget; one without a selector has none."""
    selector = budget["spec"].get("selector")
    return selector is not None and matches(LabelSelector.model_validate(selector), labels)


def spares_none(budget: Object) -> bool:
    """Tell whether no pod may go at present; before its controller has looked at it, a budget says nothing."""
    status = budget.get("status") or {}
    seen = status.get("observedGeneration", 0) >= budget["metadata"].get("generation", 0)
    return bool(seen and status.get("expectedPods", 0) > 0 and status.get("disruptionsAllowed", 0) == 0)
