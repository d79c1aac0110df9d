"""`spec`: what a user asks for, put together from its parts."""

from typing import Annotated, Literal

from pydantic import Field

from grpctracing.api.base import Model, Schema, rule, rules
from grpctracing.api.collector import Collector
from grpctracing.api.environment import Env, ResourceAttributes
from grpctracing.api.instrumentation import Instrumentation
from grpctracing.api.sampling import Keep, Sampler
from grpctracing.api.selector import LabelSelector
from grpctracing.api.status import WorkloadKind
from grpctracing.api.values import duration

Propagator = Literal["tracecontext", "baggage", "b3", "b3multi", "none"]


class Bootstrap(Model):
    """The Python bootstrap that is mounted into the containers."""

    enabled: bool = Field(
        default=True,
        description="false: only the OTEL_* variables, for services that carry an OpenTelemetry SDK in their code (Go, Java, …).",
    )


class Rollout(Model):
    """How changes reach the workloads."""

    model_config = rules(
        rule(
            "!self.restartExisting || self.strategy == 'Admission'",
            "spec.rollout.restartExisting: only for strategy Admission, since Patch replaces the pods anyway; remove it",
            at=".restartExisting",
        ),
    )

    mode: Literal["Apply", "Plan"] = Field(
        default="Apply",
        description="Apply: patch the workloads. Plan: report what would be patched, write nothing but the status.",
    )
    strategy: Literal["Patch", "Admission"] = Field(
        default="Patch",
        description="Patch: each workload is patched once. Admission: the API server adds the same to new pods of any "
        "kind by a MutatingAdmissionPolicy (Kubernetes 1.36), and no workload is written; see docs/admission.md.",
    )
    restart_existing: bool = Field(
        default=False,
        description="Under strategy Admission: replace the pods that were made before the policy, by evicting them one after the "
        "other under the rollout guard. No workload is written; see docs/admission.md.",
    )
    max_concurrent: Annotated[int, Schema(minimum=1, maximum=10000)] = Field(
        default=5,
        description="Workloads that may roll out at once because of us. A large number means that nobody waits for a turn.",
    )
    health_timeout: Annotated[str, duration("10s", "1h")] = Field(
        default="5m",
        description="A workload whose rollout makes no progress for this long after its patch is reverted; one that is healthy "
        "and has sent no span for this long is called NoSpans.",
    )


class GrpcTracingSpec(Model):
    """What is traced, how much of it, and where it goes."""

    selector: LabelSelector | None = Field(
        default=None,
        description="Workloads of the namespace to trace, by their labels. Absent: only those annotated "
        'grpctracing.dev/inject. {}: all. A workload annotated grpctracing.dev/inject: "false" is never traced.',
    )
    kinds: Annotated[tuple[WorkloadKind, ...], Schema(minItems=1, maxItems=3, **{"x-kubernetes-list-type": "set"})] = (
        Field(
            default=("Deployment",),
            description="Kinds that the selector is for. A StatefulSet or DaemonSet is often a database or an agent that nobody "
            "wants restarted, so it is traced where it is annotated, or where its kind is listed here. Under strategy Admission "
            "the selector is for pods of any kind.",
        )
    )
    sampler: Annotated[Sampler, Schema(default={"type": "parentbased_always_on"})] = Field(
        default_factory=Sampler, description="Which traces are recorded."
    )
    keep: Keep = Field(default_factory=Keep, description="Calls that are exported whatever the sampler said.")
    propagators: Annotated[
        tuple[Propagator, ...],
        Schema(
            rule(
                "self.size() == 1 || !('none' in self)",
                "spec.propagators: none excludes the others; remove it or them",
            ),
            minItems=1,
            maxItems=5,
            **{"x-kubernetes-list-type": "set"},
        ),
    ] = Field(
        default=("tracecontext", "baggage"), description="Formats of context in gRPC metadata, as in OTEL_PROPAGATORS."
    )
    collector: Collector = Field(default_factory=Collector, description="Where spans and metrics go.")
    instrumentation: Instrumentation = Field(
        default_factory=Instrumentation, description="What is recorded of each call."
    )
    resource_attributes: ResourceAttributes = Field(
        default_factory=dict, description="Attributes of every span's resource, e.g. deployment.environment.name."
    )
    env: Env = Field(default=(), description="More OTEL_* variables for every injected container.")
    bootstrap: Bootstrap = Field(default_factory=Bootstrap, description="The Python bootstrap.")
    preflight: Literal["Auto", "Never"] = Field(
        default="Auto",
        description="Auto: a short-lived pod looks into each image before anything is injected (Python, grpcio, PYTHONPATH "
        "of the image). Never: no such pod, where policy forbids it; what the image itself sets is then hidden by ours.",
    )
    rollout: Rollout = Field(default_factory=Rollout, description="How changes reach the workloads.")
