"""`status`: what the operator has seen, for people and for `kubectl wait`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from grpctracing.api.base import Model, Schema

MAX_WORKLOADS = 50
MAX_REVERTED = 50
MAX_RETRY = 253
_TIME = Schema(format="date-time", maxLength=64)
WorkloadState = Literal["Pending", "Progressing", "Injected", "Instrumented", "Degraded", "Skipped"]
WorkloadKind = Literal["Deployment", "StatefulSet", "DaemonSet"]
# The keys of both lists. A default, for what a release wrote that knew Deployments alone stays readable.
_KEYS: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["kind", "name"]}


def label(kind: str, name: str) -> str:
    """Return what a workload is called within its namespace: by its name a Deployment, any other with its kind."""
    return name if kind == "Deployment" else f"{kind}/{name}"


class Condition(Model):
    """A `metav1.Condition`."""

    type: Annotated[str, Schema(minLength=1, maxLength=316)] = Field(
        description="Ready, CollectorReady, Progressing or Degraded."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: Annotated[int | None, Schema(format="int64", minimum=0)] = Field(
        default=None, description="Generation of the object that this was decided for."
    )
    last_transition_time: Annotated[str, _TIME] = Field(description="When the status last changed.")
    reason: Annotated[str, Schema(minLength=1, maxLength=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")] = (
        Field(description="Why, as one word of a documented, closed set.")
    )
    message: Annotated[str, Schema(maxLength=32768)] = Field(
        default="", description="Why, for people, and what to do next."
    )


class Counts(Model):
    """Numbers of workloads, in all and by state."""

    matched: Annotated[int, Schema(minimum=0)] = Field(default=0, description="Workloads that this object is for.")
    instrumented: Annotated[int, Schema(minimum=0)] = Field(default=0, description="Healthy, and spans have arrived.")
    injected: Annotated[int, Schema(minimum=0)] = Field(default=0, description="Healthy, no span seen yet.")
    progressing: Annotated[int, Schema(minimum=0)] = Field(default=0, description="Rolling out because of us.")
    degraded: Annotated[int, Schema(minimum=0)] = Field(
        default=0, description="Unhealthy or contested; see the message."
    )
    pending: Annotated[int, Schema(minimum=0)] = Field(default=0, description="To be injected, or planned only.")
    skipped: Annotated[int, Schema(minimum=0)] = Field(default=0, description="Left alone; the message says why.")


class Workload(Model):
    """What became of one workload."""

    kind: WorkloadKind = Field(default="Deployment", description="Kind of the workload.")
    name: Annotated[str, Schema(minLength=1, maxLength=253)] = Field(description="Name of the workload.")
    state: WorkloadState = Field(description="Where it stands.")
    reason: Annotated[str, Schema(maxLength=128)] = Field(default="", description="Why, as one word.")
    message: Annotated[str, Schema(maxLength=2048)] = Field(default="", description="Why, and what to do next.")
    service: Annotated[str, Schema(maxLength=512)] = Field(default="", description="service.name of its spans.")
    containers: Annotated[
        tuple[Annotated[str, Schema(maxLength=63)], ...], Schema(maxItems=64, **{"x-kubernetes-list-type": "atomic"})
    ] = Field(default=(), description="Containers that are injected.")
    last_transition_time: Annotated[str | None, _TIME] = Field(default=None, description="When the state last changed.")


class Reverted(Model):
    """An injection that was taken back because its rollout failed: what the operator must not try again."""

    kind: WorkloadKind = Field(default="Deployment", description="Kind of the workload.")
    name: Annotated[str, Schema(minLength=1, maxLength=253)] = Field(description="Name of the workload.")
    injection: Annotated[str, Schema(maxLength=64)] = Field(
        description="Digest of its images, the bootstrap, and all that was injected."
    )
    image: Annotated[str, Schema(maxLength=64)] = Field(
        default="",
        description="Digest of its images and the bootstrap, where these two are the likely cause: other workloads with "
        "the same are not tried either.",
    )
    retry: Annotated[str, Schema(maxLength=MAX_RETRY)] = Field(
        default="",
        description="Value of the annotation grpctracing.dev/retry at that time; another one asks for a new try.",
    )
    evidence: Annotated[str, Schema(maxLength=512)] = Field(default="", description="What was seen of its pods.")
    time: Annotated[str | None, _TIME] = Field(default=None, description="When it was taken back.")

    @property
    def label(self) -> str:
        """Return what the workload is called within its namespace."""
        return label(self.kind, self.name)


class GrpcTracingStatus(Model):
    """What the operator has seen."""

    observed_generation: Annotated[int | None, Schema(format="int64", minimum=0)] = Field(
        default=None, description="Generation of the object that this status is for."
    )
    conditions: Annotated[
        tuple[Condition, ...],
        Schema(maxItems=16, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = Field(default=(), description="Ready, CollectorReady, Progressing and Degraded.")
    counts: Counts = Field(default_factory=Counts, description="Numbers of workloads by state.")
    workloads: Annotated[
        tuple[Workload, ...],
        Schema(maxItems=MAX_WORKLOADS, **_KEYS),
    ] = Field(default=(), description="Workloads that this object is for, worst first, at most 50.")
    reverted: Annotated[
        tuple[Reverted, ...],
        Schema(maxItems=MAX_REVERTED, **_KEYS),
    ] = Field(
        default=(),
        description="Workloads that are not tried again until their image, the release or what is injected changes. "
        "While there are 50, no further workload is injected.",
    )
