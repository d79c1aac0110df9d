"""The API `grpctracing.dev/v1alpha1`: its models are the single source of the CRD, the chart's copy and the reference.

Read an object with `GrpcTracing.model_validate(obj)`. Change a field here, run `make crds`, and everything follows.
"""

from grpctracing.api.collector import (
    Collector,
    Exporter,
    ExternalCollector,
    Header,
    ManagedCollector,
    Resources,
    TailSampling,
)
from grpctracing.api.environment import RESERVED_ATTRIBUTES, RESERVED_ENV, EnvVar
from grpctracing.api.instrumentation import EXCLUDED_SERVICES, CapturedMetadata, Instrumentation
from grpctracing.api.sampling import RATIO_SAMPLERS, Keep, Sampler, SamplingRule
from grpctracing.api.selector import LabelSelector, Requirement
from grpctracing.api.spec import Bootstrap, GrpcTracingSpec, Rollout
from grpctracing.api.status import (
    MAX_RETRY,
    MAX_REVERTED,
    MAX_WORKLOADS,
    Condition,
    Counts,
    GrpcTracingStatus,
    Reverted,
    Workload,
    WorkloadKind,
    label,
)
from grpctracing.api.tracing import API_VERSION, GROUP, KIND, PLURAL, VERSION, GrpcTracing, Metadata
from grpctracing.api.values import SecretKeyRef, seconds

__all__ = [
    "API_VERSION",
    "EXCLUDED_SERVICES",
    "GROUP",
    "KIND",
    "MAX_RETRY",
    "MAX_REVERTED",
    "MAX_WORKLOADS",
    "PLURAL",
    "RATIO_SAMPLERS",
    "RESERVED_ATTRIBUTES",
    "RESERVED_ENV",
    "VERSION",
    "Bootstrap",
    "CapturedMetadata",
    "Collector",
    "Condition",
    "Counts",
    "EnvVar",
    "Exporter",
    "ExternalCollector",
    "GrpcTracing",
    "GrpcTracingSpec",
    "GrpcTracingStatus",
    "Header",
    "Instrumentation",
    "Keep",
    "LabelSelector",
    "ManagedCollector",
    "Metadata",
    "Requirement",
    "Resources",
    "Reverted",
    "Rollout",
    "Sampler",
    "SamplingRule",
    "SecretKeyRef",
    "TailSampling",
    "Workload",
    "WorkloadKind",
    "label",
    "seconds",
]
