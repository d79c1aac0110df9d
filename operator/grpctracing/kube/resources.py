"""The kinds that the operator reads or writes, and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

JSON = dict[str, Any]


class Key(NamedTuple):
    """What a queue, a cache and a log line call an object: never an event, never the object itself."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


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
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
PODS: Final = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
SERVICES: Final = Resource("", "v1", "services", "Service")
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount")
DISRUPTION_BUDGETS: Final = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
EVENTS: Final = Resource("", "v1", "events", "Event")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
GRPC_TRACINGS: Final = Resource("grpctracing.dev", "v1alpha1", "grpctracings", "GrpcTracing")

OWNED: Final = (CONFIG_MAPS, SERVICES, SERVICE_ACCOUNTS, DISRUPTION_BUDGETS)
"""What we own besides the Collector's Deployment."""
POLICIES: Final = (
    Resource("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding"),
    Resource("admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy"),
)
"""What the admission strategy writes: cluster-scoped, the binding first, for that is the order in which they go."""
BY_KIND: Final = {resource.kind: resource for resource in (DEPLOYMENTS, GRPC_TRACINGS, PODS, *OWNED, *POLICIES)}


def key_of(obj: JSON) -> Key:
    """Return the key of an object; its namespace is empty where the kind has none."""
    return Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
