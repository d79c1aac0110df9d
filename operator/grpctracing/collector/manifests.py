"""GrpcTracing → everything that its managed Collector consists of, in the order in which it is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpctracing.collector import names
from grpctracing.collector.config import render
from grpctracing.collector.workload import deployment

if TYPE_CHECKING:
    from grpctracing.api import GrpcTracing


def manifests(tracing: GrpcTracing, image: str) -> list[dict[str, Any]]:
    """Return the objects that the Collector of *tracing* needs; none with mode External."""
    if tracing.spec.collector.mode != "Managed":
        return []
    rendered = render(tracing)
    out: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _metadata(tracing),
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(tracing),
            "data": {names.CONFIG_KEY: rendered},
        },
        _service(tracing),
    ]
    if tracing.spec.collector.managed.replicas > 1:
        out += [_headless_service(tracing), _disruption_budget(tracing)]
    return [*out, deployment(tracing, image, rendered, _metadata(tracing))]


def _metadata(tracing: GrpcTracing, name: str = names.NAME) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": tracing.metadata.namespace,
        "labels": names.labels(tracing),
        "ownerReferences": [tracing.owner_reference],
    }


def _service(tracing: GrpcTracing) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(tracing),
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector(tracing),
            "ports": [
                _port("otlp-grpc", names.PORT_GRPC, "grpc"),
                _port("otlp-http", names.PORT_HTTP, "http"),
                _port("metrics", names.PORT_METRICS, "http"),
            ],
        },
    }


def _headless_service(tracing: GrpcTracing) -> dict[str, Any]:
    """Return the Service whose DNS name lists the replicas, for passing spans on by trace id."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(tracing, names.HEADLESS),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "selector": names.selector(tracing),
            "ports": [_port("otlp-peer", names.PORT_PEER, "grpc")],
        },
    }


def _disruption_budget(tracing: GrpcTracing) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(tracing),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": names.selector(tracing)}},
    }


def _port(name: str, number: int, protocol: str) -> dict[str, Any]:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP", "appProtocol": protocol}
