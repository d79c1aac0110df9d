"""The kinds that the operator reads or writes, and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from grpctracing.api import label

JSON = dict[str, Any]


class Key(NamedTuple):
    """What a queue, a cache and a log line call an object: never an event, never the object itself.

    *kind* is that of a workload which is no Deployment: one of them may have the same name. Elsewhere it is empty.
    """

    namespace: str
    name: str
    kind: str = ""

    @property
    def label(self) -> str:
        """Return what a workload is called within its namespace."""
        return label(self.kind or DEPLOYMENTS.kind, self.name)

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}" if self.kind else f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object; *group* is empty for the core API."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """Return the `apiVersion` that manifests carry."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path of an object, of a namespace's collection, or of all (no namespace)."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part is not None]
        return "/".join(parts)


DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
STATEFUL_SETS: Final = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SETS: Final = Resource("apps", "v1", "daemonsets", "DaemonSet")
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
CONTROLLER_REVISIONS: Final = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
PODS: Final = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
SERVICES: Final = Resource("", "v1", "services", "Service")
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount")
DISRUPTION_BUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
EVENTS: Final = Resource("", "v1", "events", "Event")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
GRPC_TRACINGS: Final = Resource("grpctracing.dev", "v1alpha1", "grpctracings", "GrpcTracing")

WORKLOADS: Final = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
"""What is patched; in what they differ, `injection.kinds` says."""
OWNED: Final = (CONFIG_MAPS, SERVICES, SERVICE_ACCOUNTS, DISRUPTION_BUDGETS)
"""What we own besides the Collector's Deployment."""
POLICIES: Final = (
    Resource("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding"),
    Resource("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy"),
)
"""What the admission strategy writes: cluster-scoped, the binding first, for that is the order in which they go."""
BY_KIND: Final = {
    resource.kind: resource
    for resource in (*WORKLOADS, REPLICA_SETS, CONTROLLER_REVISIONS, GRPC_TRACINGS, PODS, *OWNED, *POLICIES)
}
NAMED: Final = frozenset({STATEFUL_SETS.kind, DAEMON_SETS.kind})
"""Kinds that stand in the key."""


def key_of(obj: JSON) -> Key:
    """Return the key of an object; its namespace is empty where the kind has none."""
    kind = obj.get("kind", "")
    return Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"], kind if kind in NAMED else "")
