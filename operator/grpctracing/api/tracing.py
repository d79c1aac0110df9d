"""The object itself: metadata, spec, status."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from grpctracing.api.base import Model, rule, rules
from grpctracing.api.spec import GrpcTracingSpec
from grpctracing.api.status import GrpcTracingStatus

GROUP: Final = "grpctracing.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "GrpcTracing"
PLURAL: Final = "grpctracings"
MAX_NAME: Final = 40  # grpctracing-NAME-bootstrap must fit into 63 characters


class Metadata(Model):
    """The parts of ObjectMeta that the operator reads. Times are RFC 3339 text, which sorts by age."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()


class GrpcTracing(Model):
    """Tracing of gRPC calls for Deployments of one namespace."""

    model_config = rules(
        rule(
            f"self.metadata.name.size() <= {MAX_NAME}",
            f"metadata.name: at most {MAX_NAME} characters, because names of owned objects are made of it",
        ),
    )

    api_version: str = API_VERSION
    kind: str = KIND
    metadata: Metadata
    spec: GrpcTracingSpec = Field(default_factory=GrpcTracingSpec, description="What is asked for.")
    status: GrpcTracingStatus = Field(default_factory=GrpcTracingStatus, description="What the operator has seen.")

    @property
    def owner_reference(self) -> dict[str, Any]:
        """The controller reference that everything owned by this object carries."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.metadata.name,
            "uid": self.metadata.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
