"""Every name that injection writes or reads: the vocabulary shared by plan, ledger and patch."""

from __future__ import annotations

from typing import Final

FIELD_MANAGER: Final = "grpctracing"

INJECT: Final = "grpctracing.dev/inject"
CONTAINERS: Final = "grpctracing.dev/containers"
SERVICE_NAME: Final = "grpctracing.dev/service-name"
BOOTSTRAP: Final = "grpctracing.dev/bootstrap"
RETRY: Final = "grpctracing.dev/retry"

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
TRACING_LABEL: Final = "grpctracing.dev/tracing"
NAMESPACE_LABEL: Final = "grpctracing.dev/namespace"
NAME_LABEL: Final = "app.kubernetes.io/name"
OPERATOR_NAME: Final = "grpctracing-operator"

VOLUME: Final = "grpctracing-bootstrap"
MOUNT_PATH: Final = "/grpctracing"

PYTHONPATH: Final = "PYTHONPATH"
SAMPLER: Final = "OTEL_TRACES_SAMPLER"
SAMPLER_ARG: Final = "OTEL_TRACES_SAMPLER_ARG"
SERVICE: Final = "OTEL_SERVICE_NAME"
RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
OWN_RESOURCE: Final = "GRPCTRACING_RESOURCE_ATTRIBUTES"
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"
TRACES_HEADERS: Final = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
PINNED: Final = "GRPCTRACING_PINNED"
POD_NAME: Final = "GRPCTRACING_POD_NAME"
POD_UID: Final = "GRPCTRACING_POD_UID"
NODE_NAME: Final = "GRPCTRACING_NODE_NAME"

# Ours by name alone. Not all that begins with GRPCTRACING_: a user may set GRPCTRACING_LOG.
RESERVED: Final = frozenset({OWN_RESOURCE, PINNED, POD_NAME, POD_UID, NODE_NAME})

# What settings.json changes in running pods: not worth a restart on its own.
LIVE: Final = frozenset({SAMPLER, SAMPLER_ARG})

# Containers that a mesh, a vault or a log shipper adds: theirs, not the application's.
SIDECARS: Final = frozenset(
    {
        "aws-xray-daemon",
        "cloud-sql-proxy",
        "cloudsql-proxy",
        "consul-connect-envoy-sidecar",
        "consul-dataplane",
        "daprd",
        "datadog-agent",
        "envoy",
        "envoy-sidecar",
        "filebeat",
        "fluent-bit",
        "fluentd",
        "istio-proxy",
        "istio-validation",
        "kuma-sidecar",
        "linkerd-proxy",
        "nginx-sidecar",
        "opentelemetry-collector",
        "otc-container",
        "queue-proxy",
        "vault-agent",
        "xray-daemon",
    },
)


def config_map_name(tracing: str) -> str:
    """Return the name of the ConfigMap that carries the bootstrap of the GrpcTracing *tracing*."""
    return f"grpctracing-{tracing}-bootstrap"
