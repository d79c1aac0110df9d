"""Deployments as earlier releases left them, one file per release (`make upgrade` writes them), and their shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def env(live: dict[str, Any], **values: str) -> dict[str, Any]:
    """Give the first container more variables."""
    live["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": name, "value": value} for name, value in values.items()
    ]
    return live


def annotated(live: dict[str, Any], **values: str) -> dict[str, Any]:
    """Give the Deployment our annotations."""
    notes = {f"grpctracing.dev/{name.replace('_', '-')}": value for name, value in values.items()}
    live["metadata"].setdefault("annotations", {}).update(notes)
    return live


def with_mesh(live: dict[str, Any]) -> dict[str, Any]:
    """Add a worker and the sidecar of a service mesh."""
    live["spec"]["template"]["spec"]["containers"] += [
        {"name": name, "image": f"registry.invalid/{name}:1"} for name in ("worker", "istio-proxy")
    ]
    return live


def applied(live: dict[str, Any]) -> dict[str, Any]:
    """Let it look as if `kubectl apply` had made it."""
    live["metadata"].setdefault("annotations", {})[LAST_APPLIED] = json.dumps(live)
    return live


SHAPES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "plain": lambda live: live,
    "sampler-kept": lambda live: env(live, OTEL_TRACES_SAMPLER_ARG="0.5", LOG_LEVEL="info"),
    "resource-kept": lambda live: env(live, OTEL_RESOURCE_ATTRIBUTES="team=shop"),
    "pythonpath": lambda live: env(live, PYTHONPATH="/app:/lib"),
    "mesh": with_mesh,
    "variables-only": lambda live: annotated(live, bootstrap="false"),
    "named": lambda live: annotated(live, service_name="shop-front", containers="app"),
    "applied": lambda live: applied(env(live, LOG_LEVEL="info")),
}
"""What differs between applications as far as the injection looks at it."""
