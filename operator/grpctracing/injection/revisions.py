"""Which pods of a workload are of its present template: read from what its controller keeps of each, the labels and the owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection.kinds import REPLICA_SET, kind_of, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Object = Mapping[str, Any]

REVISION: Final = "deployment.kubernetes.io/revision"


def newest(workload: Object, revisions: Iterable[Object]) -> Object | None:
    """Return the revision of the workload's present template (a ReplicaSet or ControllerRevision), once it has been made."""
    uid = workload["metadata"]["uid"]
    own = [each for each in revisions if owned_by(each, uid)]
    return max(own, key=number, default=None)


def selector_of(workload: Object, present: Object) -> Object:
    """Return the `metav1.LabelSelector` of the pods of *workload* that are of its revision *present*."""
    if kind_of(workload).keeps == REPLICA_SET:
        return {**present["spec"]["selector"]}
    own = workload["spec"]["selector"]
    pinned = {**(own.get("matchLabels") or {}), kind_of(workload).hash_label: hash_of(workload, present)}
    return {**own, "matchLabels": pinned}


def is_of(pod: Object, workload: Object, present: Object) -> bool:
    """Tell whether *pod* is one of *workload*, made from its revision *present*."""
    if kind_of(workload).keeps == REPLICA_SET:
        return owned_by(pod, present["metadata"]["uid"])
    value = (pod["metadata"].get("labels") or {}).get(kind_of(workload).hash_label)
    return owned_by(pod, workload["metadata"]["uid"]) and value == hash_of(workload, present)


def hash_of(workload: Object, present: Object) -> str:
    """Return how pods are labelled with a ControllerRevision: with its hash by a DaemonSet, with its name by a StatefulSet."""
    metadata = present["metadata"]
    return str((metadata.get("labels") or {}).get(kind_of(workload).hash_label) or metadata["name"])


def number(revision: Object) -> int:
    """Return the number of the rollout that a revision was last the newest of."""
    if "revision" in revision:
        return int(revision["revision"])
    text = (revision["metadata"].get("annotations") or {}).get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def owned_by(obj: Object, uid: str) -> bool:
    """Tell whether the object *uid* controls *obj*."""
    references = obj["metadata"].get("ownerReferences") or ()
    return any(reference["uid"] == uid and reference.get("controller") for reference in references)


def images(obj: Object) -> dict[str, str]:
    """Return container → image of anything with a pod template, one that is kept in a ControllerRevision included."""
    spec = (obj.get("data") or obj)["spec"]
    return {container["name"]: container.get("image", "") for container in spec["template"]["spec"]["containers"]}


def runs_elsewhere(workload: Object, revisions: Iterable[Object], present: Object) -> bool:
    """Tell whether an older revision has pods with the very images of the present one.

    A ControllerRevision does not count its pods: there it is enough that the workload has older ones.
    """
    uid, wanted, pods = workload["metadata"]["uid"], images(present), numbers(workload)
    counts = kind_of(workload).keeps == REPLICA_SET
    return any(
        each is not present
        and owned_by(each, uid)
        and ((each.get("status") or {}).get("replicas") if counts else pods.total > pods.updated)
        and images(each) == wanted
        for each in revisions
    )
