"""Pods that come through a policy, on a real API server: no kubelet needed, and as a dry run nothing is left behind."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tests.api.apiserver import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grpctracing.api import GrpcTracing
    from tests.api.rest import Rest

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
}
HASH = "5d5f8c7b9d"


def pod_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The pod that the ReplicaSet of *deployment* would make."""
    template = copy.deepcopy(deployment["spec"]["template"])
    name = f"{deployment['metadata']['name']}-{HASH}"
    metadata = template.get("metadata", {})
    labels = {**(metadata.get("labels") or {}), "pod-template-hash": HASH}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name}-",
            "labels": labels,
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": [owner("ReplicaSet", name)],
        },
        "spec": template["spec"],
    }


def owner(kind: str, name: str) -> dict[str, Any]:
    version = "batch/v1" if kind == "Job" else "apps/v1"
    return {"apiVersion": version, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}


def made(rest: Rest, namespace: str, pod: dict[str, Any]) -> dict[str, Any]:
    """The pod as the API server would store it."""
    return rest.ok("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldValidation=Strict", pod)


def env_of(pod: dict[str, Any], container: int = 0) -> dict[str, Any]:
    entries = pod["spec"]["containers"][container].get("env", [])
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def install(rest: Rest, objects: Sequence[dict[str, Any]]) -> None:
    for obj in objects:
        rest.ok("POST", f"{REGISTRATION}/{PLURALS[obj['kind']]}?fieldValidation=Strict", obj)


def uninstall(rest: Rest, objects: Sequence[dict[str, Any]]) -> None:
    for obj in objects:
        rest.call("DELETE", f"{REGISTRATION}/{PLURALS[obj['kind']]}/{obj['metadata']['name']}")


def wait_until_in_force(rest: Rest, tracing: GrpcTracing) -> None:
    """Return when the API server goes by the policy of *tracing*: it looks at its cache once a second."""
    annotations = {"grpctracing.dev/inject": tracing.metadata.name}
    probe = {
        "metadata": {"name": "probe", "annotations": annotations},
        "spec": {"containers": [{"name": "app", "image": "x"}]},
    }
    eventually(lambda: env_of(made(rest, tracing.metadata.namespace, probe)))
