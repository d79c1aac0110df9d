"""`spec.env` and `spec.resourceAttributes`: what a user adds to the environment, and what is not theirs to set here."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from grpctracing.api.base import Model, Schema, rule

# Names that the operator writes itself, and where the user sets each.
RESERVED_ENV: Final = {
    "OTEL_SERVICE_NAME": "use the annotation grpctracing.dev/service-name on the Deployment",
    "OTEL_RESOURCE_ATTRIBUTES": "use spec.resourceAttributes",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "use spec.collector.external.endpoint",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "use spec.collector.external.protocol",
    "OTEL_EXPORTER_OTLP_HEADERS": "use spec.collector.external.headersSecretRef",
    "OTEL_TRACES_EXPORTER": "it is always otlp; use the annotation grpctracing.dev/inject=false to leave a Deployment out",
    "OTEL_METRICS_EXPORTER": "use spec.instrumentation.metrics",
    "OTEL_LOGS_EXPORTER": "it is always none; logs are not collected",
    "OTEL_TRACES_SAMPLER": "use spec.sampler.type",
    "OTEL_TRACES_SAMPLER_ARG": "use spec.sampler.argument",
    "OTEL_PROPAGATORS": "use spec.propagators",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "use spec.instrumentation.semconv",
}
# Resource attributes that say which pod a span comes from: a constant here would be wrong for all but one.
RESERVED_ATTRIBUTES: Final = (
    "k8s.container.name",
    "k8s.deployment.name",
    "k8s.namespace.name",
    "k8s.node.name",
    "k8s.pod.name",
    "k8s.pod.uid",
    "service.instance.id",
    "service.name",
)


def _reserved_rules() -> list[dict[str, Any]]:
    return [
        rule(f"self.name != '{name}'", f"spec.env: {name} is written by the operator; {instead}", at=".name")
        for name, instead in RESERVED_ENV.items()
    ]


def _name_rule() -> dict[str, Any]:
    return rule(
        "self.name.matches('^OTEL_[A-Z0-9_]+$')",
        "spec.env: names begin with OTEL_ (capital letters, digits and _); other variables belong into the Deployment",
        at=".name",
    )


class EnvVar(Model):
    """One variable for every injected container. A variable that the container has already is never touched."""

    name: Annotated[str, Schema(minLength=1, maxLength=128)] = Field(
        description="OTEL_… as the OpenTelemetry SDKs read it."
    )
    value: Annotated[str, Schema(maxLength=4096)] = Field(default="", description="Its value, as it is.")


Env = Annotated[
    tuple[Annotated[EnvVar, Schema(_name_rule(), *_reserved_rules())], ...],
    Schema(maxItems=32, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
]
ResourceAttributes = Annotated[
    dict[str, Annotated[str, Schema(maxLength=256)]],
    Schema(
        rule(
            "self.all(k, k.size() <= 128 && k.matches('^[a-zA-Z][a-zA-Z0-9_.-]*$'))",
            "spec.resourceAttributes: names are letters, digits, '.', '_' and '-', at most 128, e.g. deployment.environment.name",
        ),
        rule(
            f"self.all(k, !(k in [{', '.join(repr(name) for name in RESERVED_ATTRIBUTES)}]))",
            "spec.resourceAttributes: service.name, service.instance.id and the k8s.* names of the pod are written by the operator; "
            "remove them (for service.name use the annotation grpctracing.dev/service-name)",
        ),
        maxProperties=32,
    ),
]
