"""The kinds of workload that are patched, and all in which they differ; and why others are not.

The engine, the guard and the patch are the same for each of them: a workload has a pod template, and a controller that
replaces pods until they are of the present one. What its status calls the numbers of these pods, how its revisions are
kept and which attribute names it, is here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from grpctracing.api import label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grpctracing.api import WorkloadKind

    Object = Mapping[str, Any]

REPLICA_SET: Final = "ReplicaSet"
CONTROLLER_REVISION: Final = "ControllerRevision"
ON_DELETE: Final = "OnDelete"


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many pods a workload has: *desired* by its user, *updated* to the present template, in *total*, and *available*.

    *replaced* is how many its controller brings to the present template by itself; the others wait for their user.
    """

    desired: int
    replaced: int
    updated: int
    total: int
    available: int


@dataclass(frozen=True, slots=True)
class Kind:
    """What there is to know of one kind.

    *attribute* names a workload in its spans; *keeps* is the kind of object in which its controller keeps the templates
    that there were, and *hash_label* the label that tells a pod's. *stuck*: a rollout stands still behind a broken pod, even
    when the template is taken back.
    """

    name: WorkloadKind
    attribute: str
    keeps: str
    hash_label: str
    numbers: Callable[[Object], Numbers]
    stuck: bool = False


def of_deployment(workload: Object) -> Numbers:
    """Read a Deployment: its controller replaces all pods."""
    status, desired = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    return Numbers(desired, desired, *counted(status, "updatedReplicas", "replicas", "availableReplicas"))


def of_stateful_set(workload: Object) -> Numbers:
    """Read a StatefulSet: pods below `partition` stay as they are, all of them under OnDelete."""
    status, desired = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    replaced = 0 if update_type(workload) == ON_DELETE else max(desired - partition(workload), 0)
    return Numbers(desired, replaced, *counted(status, "updatedReplicas", "replicas", "availableReplicas"))


def of_daemon_set(workload: Object) -> Numbers:
    """Read a DaemonSet: how many pods there should be is a matter of the nodes, so its status says that."""
    status = workload.get("status") or {}
    desired = int(status.get("desiredNumberScheduled", 0))
    replaced = 0 if update_type(workload) == ON_DELETE else desired
    return Numbers(
        desired, replaced, *counted(status, "updatedNumberScheduled", "currentNumberScheduled", "numberAvailable")
    )


def update_type(workload: Object) -> str:
    """Return the type of the workload's update strategy; empty where it does not say."""
    return str((workload["spec"].get("updateStrategy") or {}).get("type") or "")


def partition(workload: Object) -> int:
    """Return how many pods of a StatefulSet, the first ones, keep the template that they have; 0 for other kinds."""
    return int(((workload["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0)


def counted(status: Object, *fields: str) -> tuple[int, int, int]:
    """Return three numbers of a status; what is not there is zero."""
    updated, total, available = (int(status.get(field) or 0) for field in fields)
    return updated, total, available


KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("Deployment", "k8s.deployment.name", REPLICA_SET, "pod-template-hash", of_deployment),
        Kind(
            "StatefulSet",
            "k8s.statefulset.name",
            CONTROLLER_REVISION,
            "controller-revision-hash",
            of_stateful_set,
            stuck=True,
        ),
        Kind("DaemonSet", "k8s.daemonset.name", CONTROLLER_REVISION, "controller-revision-hash", of_daemon_set),
    )
}
NOT_PATCHED: Final = {
    "Pod": "a pod can't be changed once it is there, and nothing makes it again when it is deleted",
    "ReplicaSet": "it does not replace its pods when its template changes; annotate the Deployment that it belongs to",
    "ReplicationController": "it does not replace its pods when its template changes",
    "Job": "its pod template can't be changed once it is there, and its pods are not replaced",
    "CronJob": "its runs end by themselves, so no rollout would show that the injection does them no harm",
}
"""Why a kind that makes pods is not patched. Under strategy Admission its pods are traced like any others."""


def kind_of(workload: Object) -> Kind:
    """Return what there is to know of the kind of *workload*; one that does not say is a Deployment."""
    return KINDS[workload.get("kind") or "Deployment"]


def numbers(workload: Object) -> Numbers:
    """Return how many pods *workload* has."""
    return kind_of(workload).numbers(workload)


def label_of(workload: Object) -> str:
    """Return what *workload* is called within its namespace."""
    return label(kind_of(workload).name, workload["metadata"]["name"])


def called(workload: Object) -> str:
    """Return what *workload* is to kubectl: "statefulset db"."""
    return f"{kind_of(workload).name.lower()} {workload['metadata']['name']}"
