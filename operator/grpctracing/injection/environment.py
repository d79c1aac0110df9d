"""The variables that a container would get if its user had set none, in the order in which they are written.

Order matters twice: `$(NAME)` resolves only to what stands before it, and PYTHONPATH comes last so that a reader of the
manifest finds it. What the user has set is subtracted in `plan`; here nothing is known of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from grpctracing.api.sampling import RATIO_SAMPLERS
from grpctracing.injection import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grpctracing.api import GrpcTracing

MANAGED_ENDPOINT = "http://otel-collector:4317"
DOWNWARD = (
    (names.POD_NAME, "metadata.name"),
    (names.POD_UID, "metadata.uid"),
    (names.NODE_NAME, "spec.nodeName"),
)


def environment(
    tracing: GrpcTracing, *, namespace: str, workload: tuple[str, str], container: str, service: str
) -> list[dict[str, Any]]:
    """Return the env entries of one container, PYTHONPATH and GRPCTRACING_PINNED excepted.

    *workload* is the resource attribute that names it, and its name.
    """
    spec = tracing.spec
    entries = [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}} for name, path in DOWNWARD
    ]
    entries += [
        {"name": name, "value": value}
        for name, value in (
            (names.SERVICE, escape(service)),
            (names.RESOURCE, resource_attributes(tracing, namespace, workload, container)),
        )
    ]
    entries += exporter(tracing)
    entries += [
        {"name": name, "value": value}
        for name, value in (
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_METRICS_EXPORTER", "otlp" if spec.instrumentation.metrics else "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            *sampler(tracing),
            ("OTEL_PROPAGATORS", ",".join(spec.propagators)),
            ("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc/dup" if spec.instrumentation.semconv == "dup" else "rpc"),
        )
    ]
    extra = {entry.name: entry.value for entry in spec.env}
    return [entry for entry in entries if entry["name"] not in extra] + [
        {"name": name, "value": value} for name, value in extra.items()
    ]


def sampler(tracing: GrpcTracing) -> Iterator[tuple[str, str]]:
    """Yield OTEL_TRACES_SAMPLER, and its argument where the type takes one."""
    chosen = tracing.spec.sampler
    yield names.SAMPLER, chosen.type
    if chosen.type in RATIO_SAMPLERS and chosen.argument is not None:
        yield names.SAMPLER_ARG, chosen.argument


def exporter(tracing: GrpcTracing) -> Iterator[dict[str, Any]]:
    """Yield where spans go: the managed Collector, or the user's."""
    external = tracing.spec.collector.external if tracing.spec.collector.mode == "External" else None
    if external is None:
        yield {"name": names.ENDPOINT, "value": MANAGED_ENDPOINT}
        yield {"name": names.PROTOCOL, "value": "grpc"}
        return
    yield {"name": names.ENDPOINT, "value": escape(external.endpoint)}
    yield {"name": names.PROTOCOL, "value": external.protocol}
    secret = external.headers_secret_ref
    if secret is not None:
        # optional: a Secret that is missing costs spans, never the start of a pod.
        reference = {"name": secret.name, "key": secret.key, "optional": True}
        yield {"name": names.HEADERS, "valueFrom": {"secretKeyRef": reference}}


def resource_attributes(tracing: GrpcTracing, namespace: str, workload: tuple[str, str], container: str) -> str:
    """Return the value of OTEL_RESOURCE_ATTRIBUTES: the user's keys win over ours (W3C Baggage value encoding)."""
    ours: dict[str, str] = {
        "k8s.namespace.name": encode(namespace),
        workload[0]: encode(workload[1]),
        "k8s.container.name": encode(container),
        "k8s.pod.name": "$(GRPCTRACING_POD_NAME)",
        "k8s.pod.uid": "$(GRPCTRACING_POD_UID)",
        "k8s.node.name": "$(GRPCTRACING_NODE_NAME)",
        "service.namespace": encode(namespace),
        "service.instance.id": f"$(GRPCTRACING_POD_UID).{encode(container)}",
    }
    ours |= {key: encode(value) for key, value in tracing.spec.resource_attributes.items()}
    return ",".join(f"{key}={value}" for key, value in ours.items())


def encode(value: str) -> str:
    """Percent-encode a resource attribute value; `$`, `(`, `,` and `=` cannot be misread afterwards."""
    return quote(value, safe="-._~/:@")


def escape(value: str) -> str:
    """Keep the kubelet from expanding `$(…)` in a text that means itself."""
    return value.replace("$(", "$$(")
