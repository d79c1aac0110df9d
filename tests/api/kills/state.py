"""All that an operator can have left in a namespace, without what differs from one namespace and minute to the next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.running import Place

KINDS = ("Deployment", "ConfigMap", "Service", "ServiceAccount", "GrpcTracing")
PASSING = {
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
    "time",
    "clusterIP",
    "clusterIPs",
    "namespace",
    "grpctracing.dev/applied",  # a hash that the owner's uid is in
    "injection",  # a digest of what names the namespace
    "kubectl.kubernetes.io/last-applied-configuration",
}
OWN = "grpctracing"


async def snapshot(place: Place) -> dict[str, Any]:
    """Every object by kind and name: metadata with generation, spec, data, status, and what is ours by the books."""
    found = {}
    for kind in KINDS:
        for name in sorted(await place.names(kind)):
            live = await place.must(kind, name)
            if kind == "Deployment":
                live.pop("status", None)  # the controller-manager's
            books = live["metadata"].pop("managedFields", ())
            if kind == "Deployment" and "ownerReferences" not in live["metadata"]:
                ours = [book["fieldsV1"] for book in books if book["manager"] == OWN and not book.get("subresource")]
                live["metadata"]["managedFields"] = ours
            found[f"{kind} {name}"] = json.loads(
                json.dumps(lasting(live)).replace(place.namespace, "NAMESPACE"), object_hook=unhashed
            )
    return found


def lasting(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: lasting(value) for key, value in sorted(node.items()) if key not in PASSING}
    if isinstance(node, list):
        return [lasting(item) for item in node]
    return node


def unhashed(node: dict[str, Any]) -> dict[str, Any]:
    """Drop the Collector's hash of a configuration that names the namespace."""
    return {key: value for key, value in node.items() if key != "grpctracing.dev/config-hash"}


def differences(want: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """What differs, one line each; nothing where all is the same."""
    lines = [f"{name} is missing" for name in want.keys() - got.keys()]
    lines += [f"{name} is left" for name in got.keys() - want.keys()]
    for name in sorted(want.keys() & got.keys()):
        lines += [f"{name}{where}" for where in unequal(want[name], got[name])]
    return lines


def unequal(want: Any, got: Any, path: str = "") -> list[str]:
    if isinstance(want, dict) and isinstance(got, dict):
        return [
            line
            for key in sorted(want.keys() | got.keys())
            for line in unequal(want.get(key), got.get(key), f"{path}.{key}")
        ]
    return [] if want == got else [f"{path}: {got!r} instead of {want!r}"]


def generations(state: dict[str, Any]) -> dict[str, int]:
    """Rollouts of each Deployment, as its generation counts them."""
    return {name: obj["metadata"]["generation"] for name, obj in state.items() if name.startswith("Deployment ")}
