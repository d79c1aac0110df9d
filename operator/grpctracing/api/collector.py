"""`spec.collector`: a Collector that the operator runs, or one that the user runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grpctracing.api.base import Model, Schema, rule, rules
from grpctracing.api.sampling import unit_interval
from grpctracing.api.values import SecretKeyRef, duration

_AT = "spec.collector.managed.exporters[]"
Quantity = Annotated[
    int | str,
    Schema(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$", maxLength=20),
]


class Header(Model):
    """A header that an exporter sends: a literal value, or one that the kubelet reads from a Secret."""

    model_config = rules(
        rule(
            "has(self.value) != has(self.secretRef)",
            f"{_AT}.headers[]: give exactly one of value and secretRef",
        ),
    )

    name: Annotated[str, Schema(minLength=1, maxLength=64, pattern=r"^[0-9A-Za-z_-]+$")] = Field(
        description="Name of the header."
    )
    value: Annotated[str | None, Schema(minLength=1, maxLength=1024)] = Field(
        default=None, description="Literal value, for what is not secret, e.g. the name of a tenant."
    )
    secret_ref: SecretKeyRef | None = Field(default=None, description="Key of a Secret that holds the value.")


class Exporter(Model):
    """Where the managed Collector sends what it receives."""

    model_config = rules(
        rule(
            "self.type == 'debug' || has(self.endpoint)",
            f"{_AT}.endpoint: required by this type; write host:port for otlp_grpc, a URL for otlp_http",
            at=".endpoint",
        ),
        rule(
            "self.type != 'debug' || !(has(self.endpoint) || has(self.headers) || has(self.caSecretRef) || has(self.insecure))",
            f"{_AT}: type debug writes to the Collector's log and takes no endpoint, headers or TLS options; remove them",
        ),
        rule(
            "self.type != 'otlp_grpc' || !has(self.endpoint) || self.endpoint.matches('^([^\\\\s/:@]+|\\\\[[0-9A-Fa-f:]+\\\\]):[0-9]{1,5}$')",
            f"{_AT}.endpoint: otlp_grpc takes host:port without a scheme, e.g. tempo.observability:4317",
            at=".endpoint",
        ),
        rule(
            "self.type != 'otlp_http' || !has(self.endpoint) || self.endpoint.matches('^https?://[^\\\\s/@]+')",
            f"{_AT}.endpoint: otlp_http takes a URL, e.g. https://otlp.example.com",
            at=".endpoint",
        ),
        rule(
            "!(has(self.insecure) && self.insecure) || !(has(self.caSecretRef) || (has(self.endpoint) && self.endpoint.startsWith('https://')))",
            f"{_AT}.insecure: plain text excludes https:// and caSecretRef; remove one of them",
            at=".insecure",
        ),
    )

    type: Literal["otlp_grpc", "otlp_http", "debug"] = Field(
        description="otlp_grpc and otlp_http send OTLP to a backend; debug writes a line per batch to the Collector's log."
    )
    endpoint: Annotated[str | None, Schema(minLength=1, maxLength=512)] = Field(
        default=None, description="host:port for otlp_grpc; a URL (http:// or https://) for otlp_http."
    )
    insecure: bool | None = Field(
        default=None,
        description="otlp_grpc without TLS. For otlp_http the scheme of the endpoint decides. Absent: false.",
    )
    headers: Annotated[
        tuple[Header, ...],
        Schema(maxItems=16, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    ] = Field(default=(), description="Headers to send with every request, e.g. a token or a tenant.")
    ca_secret_ref: SecretKeyRef | None = Field(
        default=None, description="Certificate authority (PEM) to trust for this endpoint. Absent: those of the image."
    )
    signals: Annotated[
        tuple[Literal["traces", "metrics"], ...] | None,
        Schema(minItems=1, maxItems=2, **{"x-kubernetes-list-type": "set"}),
    ] = Field(
        default=None,
        description="What to send there. Absent: [traces]. Metrics are served on port 8889 for Prometheus in any case.",
    )


class Resources(Model):
    """Requests and limits of the Collector's container."""

    model_config = rules(
        rule(
            "!has(self.limits) || !has(self.requests) || self.requests.all(k, !(k in self.limits) || "
            "quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)",
            "spec.collector.managed.resources: a request is greater than its limit; raise the limit or lower the request",
        ),
    )

    requests: Annotated[
        dict[str, Quantity] | None,
        Schema(
            rule(
                "self.all(k, k in ['cpu', 'memory', 'ephemeral-storage'])",
                "spec.collector.managed.resources.requests: names are cpu, memory and ephemeral-storage",
            ),
            maxProperties=3,
        ),
    ] = Field(default=None, description="What the scheduler reserves. Absent: cpu 50m, memory 128Mi.")
    limits: Annotated[
        dict[str, Quantity] | None,
        Schema(
            rule(
                "self.all(k, k in ['cpu', 'memory', 'ephemeral-storage'])",
                "spec.collector.managed.resources.limits: names are cpu, memory and ephemeral-storage",
            ),
            maxProperties=3,
        ),
    ] = Field(
        default=None,
        description="What the container may use. memory is always limited (512Mi when absent): the Collector sheds load "
        "near the limit instead of being killed.",
    )


class TailSampling(Model):
    """Sampling in the managed Collector, when a trace is complete. Works on what the head sampler let through."""

    enabled: bool = Field(default=False, description="Turn tail sampling on.")
    decision_wait: Annotated[str, duration("1s", "5m")] = Field(
        default="10s", description="How long to wait for the spans of a trace before deciding."
    )
    max_traces: Annotated[int, Schema(minimum=100, maximum=1000000)] = Field(
        default=50000, description="Traces held in memory while waiting; the oldest are decided early beyond it."
    )
    errors: bool = Field(default=True, description="Keep each trace with a span in error.")
    slower_than: Annotated[str, duration("1ms", "1h")] = Field(
        default="1s", description="Keep each trace with a span that ran at least this long."
    )
    ratio: Annotated[str, unit_interval("spec.collector.managed.tailSampling.ratio")] = Field(
        default="0.1", description="Ratio of all other traces to keep, from 0 to 1, as text."
    )


class ManagedCollector(Model):
    """The Collector that the operator runs in the namespace, behind the Service `otel-collector`."""

    replicas: Annotated[int, Schema(minimum=1, maximum=10)] = Field(
        default=1, description="Pods. With more than one, spans are routed by trace id so that a trace stays together."
    )
    resources: Resources | None = Field(default=None, description="Requests and limits of the container.")
    exporters: Annotated[tuple[Exporter, ...], Schema(maxItems=8, **{"x-kubernetes-list-type": "atomic"})] = Field(
        default=(), description="Backends. None: spans are counted and one line per batch is written to the log."
    )
    tail_sampling: TailSampling = Field(default_factory=TailSampling, description="Sampling when a trace is complete.")


class ExternalCollector(Model):
    """A Collector, or any OTLP endpoint, that the user runs."""

    model_config = rules(
        rule(
            "!has(self.caSecretRef)",
            "spec.collector.external.caSecretRef is not served in this release; use an endpoint with a certificate that "
            "the image trusts, or http:// inside the cluster",
            at=".caSecretRef",
        ),
        rule(
            "!has(self.clientCertSecretRef)",
            "spec.collector.external.clientCertSecretRef is not served in this release; use headersSecretRef for authentication",
            at=".clientCertSecretRef",
        ),
    )

    endpoint: Annotated[
        str,
        Schema(
            rule(
                "self.matches('^https?://([^\\\\s/:@]+|\\\\[[0-9A-Fa-f:]+\\\\])(:[0-9]{1,5})?(/[^\\\\s]*)?$')",
                "spec.collector.external.endpoint: write a URL with http:// or https://, e.g. http://collector.monitoring:4317",
                says="'spec.collector.external.endpoint: \"' + self + '\" is not a URL with http:// or https://; "
                "write e.g. http://collector.monitoring:4317'",
            ),
            minLength=1,
            maxLength=512,
        ),
    ] = Field(description="URL of the OTLP receiver; https:// means TLS.")
    protocol: Literal["grpc", "http/protobuf"] = Field(
        default="grpc", description="OTLP transport, as in OTEL_EXPORTER_OTLP_PROTOCOL."
    )
    headers_secret_ref: SecretKeyRef | None = Field(
        default=None,
        description="Key of a Secret that holds headers as name=value pairs, separated by commas (OTEL_EXPORTER_OTLP_HEADERS).",
    )
    ca_secret_ref: SecretKeyRef | None = Field(default=None, description="Not served in this release.")
    client_cert_secret_ref: SecretKeyRef | None = Field(default=None, description="Not served in this release.")


class Collector(Model):
    """Where the instrumented containers send their spans."""

    model_config = rules(
        rule(
            "self.mode == 'External' || !has(self.external)",
            "spec.collector.external: only with mode External; set spec.collector.mode: External or remove it",
            at=".external",
        ),
        rule(
            "self.mode == 'Managed' || !has(self.managed)",
            "spec.collector.managed: only with mode Managed; set spec.collector.mode: Managed or remove it",
            at=".managed",
        ),
        rule(
            "self.mode == 'Managed' || has(self.external)",
            "spec.collector.external: required with mode External; give its endpoint, e.g. http://collector.monitoring:4317",
            at=".external",
        ),
    )

    mode: Literal["Managed", "External"] = Field(
        default="Managed", description="Managed: the operator runs a Collector. External: you do."
    )
    managed: ManagedCollector = Field(default_factory=ManagedCollector, description="With mode Managed.")
    external: ExternalCollector | None = Field(default=None, description="With mode External.")
