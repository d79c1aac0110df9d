"""Which pods a policy is for, in CEL: what `select` says of a Deployment, said of the labels and annotations of a pod.

matchConditions are evaluated before the policy's variables, so each spells out where it looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpctracing.injection import cel, names
from grpctracing.injection.select import age

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grpctracing.api import GrpcTracing, LabelSelector
    from grpctracing.injection.failed import Failed

OWNERS = {"Deployment": "ReplicaSet"}
"""What owns the pods of a workload, where it is not the workload itself."""
MIRROR = "kubernetes.io/config.mirror"


def conditions(
    tracing: GrpcTracing, tracings: Sequence[GrpcTracing], failed: Sequence[Failed] = ()
) -> list[dict[str, str]]:
    """Return the matchConditions of *tracing*; *tracings* are all living ones of its namespace, itself among them.

    Pods with images that have *failed* with the injection are left alone.
    """
    expressions = {
        "not-ours": f"!({is_label(names.MANAGED_BY_LABEL, names.FIELD_MANAGER)}) && "
        f"!({is_label(names.NAME_LABEL, names.OPERATOR_NAME)})",
        # The kubelet runs these from a file: what the API server shows is a picture.
        "not-static": f"!{annotation(MIRROR)}.hasValue()",
        # Patched, or admitted before: once is enough, whoever did it.
        "not-injected": "!object.spec.containers.exists(c, "
        f"c.?env.orValue([]).exists(e, e.name == {cel.string(names.POD_NAME)}))",
        "not-opted-out": f'{wish()}.lowerAscii() != "false"',
        "selected": selected(tracing, tracings),
    }
    if failed:
        expressions["not-failed"] = cel.every(f"!({fails(each)})" for each in failed)
    return [{"name": name, "expression": expression} for name, expression in expressions.items()]


def fails(failed: Failed) -> str:
    """Return whether a pod has all images that failed together, and does not ask for another try."""
    terms = [
        f"object.spec.containers.exists(c, c.?image.orValue('') == {cel.string(image)})" for image in failed.images
    ]
    terms.append(f'{annotation(names.RETRY)}.orValue("") in {cel.strings({"", failed.retry})}')
    return cel.every(terms)


def selected(tracing: GrpcTracing, tracings: Sequence[GrpcTracing]) -> str:
    """Return whether a pod that has not opted out belongs to *tracing*: named by it, or the oldest that matches."""
    older = [other for other in tracings if age(other) < age(tracing)]
    unasked = [matching(tracing), *(f"!({matching(other)} && {is_for(other)})" for other in older)]
    asked = [willing(tracing, tracings), *(f"!({willing(other, tracings)})" for other in older)]
    return (
        f"{wish()} == {cel.string(tracing.metadata.name)}"
        f' || ({wish()} == "" && {cel.every(unasked)})'
        f' || ({wish()}.lowerAscii() == "true" && {cel.every(asked)})'
    )


def willing(tracing: GrpcTracing, tracings: Sequence[GrpcTracing]) -> str:
    """Return whether *tracing* takes a pod that asks for any: its selector matches, it has none, or no other does."""
    if tracing.spec.selector is None or len(tracings) == 1:
        return "true"
    if any(other.spec.selector is None for other in tracings):
        return matching(tracing)
    nobody = cel.every(f"!({matching(other)})" for other in tracings)
    return f"({matching(tracing)} || ({nobody}))"


def matching(tracing: GrpcTracing) -> str:
    """Return whether the selector of *tracing* matches; without one it matches nothing by itself."""
    return "false" if tracing.spec.selector is None else cel.every(requirements(tracing.spec.selector))


def is_for(tracing: GrpcTracing) -> str:
    """Return whether *tracing* is for the kind of what owns the pod: a patch is for some kinds, a policy for all."""
    if tracing.spec.rollout.strategy == "Admission":
        return "true"
    kinds = [OWNERS.get(kind, kind) for kind in tracing.spec.kinds]
    owner = f"o.?controller.orValue(false) && o.kind in {cel.strings(kinds)}"
    return f"object.metadata.?ownerReferences.orValue([]).exists(o, {owner})"


def requirements(selector: LabelSelector) -> Iterable[str]:
    """Yield what a selector asks for; an empty one asks for nothing."""
    for key, value in selector.match_labels.items():
        yield is_label(key, value)
    for expression in selector.match_expressions:
        there = f"{label(expression.key)}.hasValue()"
        within = f"{label(expression.key)}.optMap(v, v in {cel.strings(expression.values)}).orValue(false)"
        yield {
            "In": within,
            "NotIn": f"!{within}",  # also where the label is absent, as in Kubernetes
            "Exists": there,
            "DoesNotExist": f"!{there}",
        }[expression.operator]


def wish() -> str:
    """Return what the pod's annotation asks for; empty where it asks for nothing."""
    return f'{annotation(names.INJECT)}.orValue("").trim()'


def annotation(key: str) -> str:
    """Return an annotation of the pod as an optional."""
    return f"object.metadata.?annotations[?{cel.string(key)}]"


def label(key: str) -> str:
    """Return a label of the pod as an optional."""
    return f"object.metadata.?labels[?{cel.string(key)}]"


def is_label(key: str, value: str) -> str:
    """Return whether the pod has a label with this value."""
    return f"{label(key)}.optMap(v, v == {cel.string(value)}).orValue(false)"
