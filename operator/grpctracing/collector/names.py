"""Names, ports and labels of the managed Collector: what other parts of the operator, and users, rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from grpctracing.api import GrpcTracing

NAME: Final = "otel-collector"
HEADLESS: Final = "otel-collector-headless"
CONFIG_KEY: Final = "collector.yaml"
CONFIG_PATH: Final = "/etc/grpctracing/collector"
CA_PATH: Final = "/etc/grpctracing/ca"
CONFIG_HASH: Final = "grpctracing.dev/config-hash"

PORT_GRPC: Final = 4317
PORT_HTTP: Final = 4318
PORT_METRICS: Final = 8889  # span metrics, and the proof that a workload was seen
PORT_OWN_METRICS: Final = 8888
PORT_PEER: Final = 14317  # between replicas only
PORT_HEALTH: Final = 13133

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
OWNER: Final = "grpctracing"
TRACING: Final = "grpctracing.dev/tracing"


def selector(tracing: GrpcTracing) -> dict[str, str]:
    """Return the labels that Services and the Deployment select by; they never change for an object."""
    return {"app.kubernetes.io/name": NAME, TRACING: tracing.metadata.name}


def labels(tracing: GrpcTracing) -> dict[str, str]:
    """Return the labels of everything that belongs to the Collector."""
    return {**selector(tracing), "app.kubernetes.io/component": "collector", MANAGED_BY: OWNER}


def header_variable(exporter: int, header: int) -> str:
    """Return the environment variable that carries a header from a Secret (both numbers count from 1)."""
    return f"EXPORTER_{exporter}_HEADER_{header}"


def ca_directory(exporter: int) -> str:
    """Return where the certificate authority of an exporter is mounted (the number counts from 1)."""
    return f"{CA_PATH}/{exporter}"
