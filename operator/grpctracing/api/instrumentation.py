"""`spec.instrumentation`: what the bootstrap records of a call."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from grpctracing.api.base import Model, Schema, rule

EXCLUDED_SERVICES: Final = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
# Keys whose values are credentials, by the last word of their names: recording them would copy secrets into the trace
# backend. The bootstrap refuses the same ones (`_grpctracing/settings.py`).
CREDENTIALS: Final = "(^|[-_.])(api-?key|auth|authorization|cert|cookie|credential|jwt|key|passwd|password|secret|session(.?id)?|signature|token)s?$"
HARMLESS: Final = ("idempotency-key", "x-idempotency-key")


def _metadata_keys(field: str) -> Schema:
    at = f"spec.instrumentation.capturedMetadata.{field}"
    harmless = ", ".join(f"'{key}'" for key in HARMLESS)
    return Schema(
        rule(
            f"self.all(k, !k.matches('{CREDENTIALS}') || k in [{harmless}])",
            f"{at}: keys that carry credentials (authorization, cookie, …-token, …-key) are never recorded; remove them",
        ),
        rule("self.all(k, !k.endsWith('-bin'))", f"{at}: values of -bin keys are binary and not recorded; remove them"),
        maxItems=32,
        **{"x-kubernetes-list-type": "set"},
    )


MetadataKey = Annotated[str, Schema(minLength=1, maxLength=64, pattern=r"^[0-9a-z_.-]+$")]
ServiceName = Annotated[
    str, Schema(minLength=1, maxLength=256, pattern=r"^[A-Za-z_][0-9A-Za-z_]*(\.[A-Za-z_][0-9A-Za-z_]*)*$")
]


class CapturedMetadata(Model):
    """gRPC metadata to record as attributes rpc.request.metadata.KEY and rpc.response.metadata.KEY."""

    request: Annotated[tuple[MetadataKey, ...], _metadata_keys("request")] = Field(
        default=(), description="Keys of request metadata, in lower case."
    )
    response: Annotated[tuple[MetadataKey, ...], _metadata_keys("response")] = Field(
        default=(),
        description="Keys of response metadata, initial and trailing, in lower case. An asyncio server's spans have the trailing ones.",
    )


class Instrumentation(Model):
    """What the bootstrap records of each call."""

    metrics: bool = Field(
        default=True, description="Measure rpc.server.call.duration and rpc.client.call.duration, exact under sampling."
    )
    messages: Literal["Sizes", "Events", "Never"] = Field(
        default="Sizes",
        description="Sizes: count messages and bytes. Events: also an event rpc.message for each of a call's first 128 messages. "
        "Never: do not look at messages.",
    )
    semconv: Literal["dup", "stable"] = Field(
        default="dup",
        description="Names of attributes. stable: those of the stable RPC conventions. dup: the older ones too, "
        "which today's dashboards use.",
    )
    excluded_services: Annotated[tuple[ServiceName, ...], Schema(maxItems=64, **{"x-kubernetes-list-type": "set"})] = (
        Field(
            default=EXCLUDED_SERVICES,
            description="gRPC services (package.Service) that are not traced. [] traces them all.",
        )
    )
    captured_metadata: CapturedMetadata = Field(default_factory=CapturedMetadata, description="Metadata to record.")
