"""Deployments and GrpcTracing objects for tests, with defaults for all that a case does not speak of; random ones too."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from grpctracing.api import GrpcTracing
from grpctracing.injection.findings import Failure, Report


def tracing(name: str = "default", *, spec: dict[str, Any] | None = None, **metadata: Any) -> GrpcTracing:
    return GrpcTracing.model_validate(
        {
            "apiVersion": "grpctracing.dev/v1alpha1",
            "kind": "GrpcTracing",
            "metadata": {
                "name": name,
                "namespace": "production",
                "uid": f"uid-{name}",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                **metadata,
            },
            "spec": spec or {},
        }
    )


def variables(values: dict[str, str | dict[str, Any]]) -> list[dict[str, Any]]:
    """{"A": "1", "B": {"fieldRef": …}} as env entries."""
    return [
        {"name": name, **({"valueFrom": value} if isinstance(value, dict) else {"value": value})}
        for name, value in values.items()
    ]


def container(name: str = "app", env: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"name": name, "image": "shop/app:1", **fields}
    if env:
        result["env"] = variables(env)
    return result


def deployment(
    name: str = "payment-service",
    *,
    env: dict[str, Any] | None = None,
    containers: list[Any] | None = None,
    annotations: dict[str, str] | None = None,
    template_annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    volumes: list[dict[str, Any]] | None = None,
    status: dict[str, Any] | None = None,
    replicas: int = 3,
    **spec: Any,
) -> dict[str, Any]:
    made = [item if isinstance(item, dict) else container(item) for item in containers or [container(env=env)]]
    pod: dict[str, Any] = {"containers": made}
    if volumes:
        pod["volumes"] = volumes
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": "production",
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "generation": 1,
            "labels": labels or {},
            "annotations": annotations or {},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": template_annotations or {}},
                "spec": pod,
            },
            **spec,
        },
        "status": status if status is not None else healthy(replicas),
    }


def healthy(replicas: int = 3) -> dict[str, Any]:
    return {
        "observedGeneration": 99,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
    }


OPT_IN = {"grpctracing.dev/inject": "true"}

NAMES = (
    "LOG_LEVEL",
    "PYTHONPATH",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_PROPAGATORS",
    "DATABASE",
    "Z",
)
VALUES = st.sampled_from(
    ["", "1", "always_on", "0.5", "/app:/lib", "service.name=mine,a=b", "$(LOG_LEVEL)", "otlp", "rpc"]
)
SOURCES = st.sampled_from(
    [
        {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        {"secretKeyRef": {"name": "secret", "key": "key"}},
        {"configMapKeyRef": {"name": "config", "key": "key", "optional": True}},
    ]
)


@st.composite
def environments(draw: st.DrawFn) -> list[dict[str, Any]]:
    entries = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=7)):
        if name != "PYTHONPATH" and draw(st.integers(0, 3)) == 0:
            entries.append({"name": name, "valueFrom": copy.deepcopy(draw(SOURCES))})
        else:
            value = draw(VALUES)
            entries.append({"name": name, "value": value} if value else {"name": name})
    return entries


@st.composite
def deployments(draw: st.DrawFn) -> dict[str, Any]:
    """Any Deployment: one to four containers (sidecars too), variables of both forms, volumes and mounts in any order."""
    names = draw(
        st.lists(st.sampled_from(["app", "worker", "istio-proxy", "b", "web"]), unique=True, min_size=1, max_size=4)
    )
    volumes = draw(st.lists(st.sampled_from(["data", "cache", "tmp"]), unique=True, max_size=3))
    containers = []
    for name in names:
        item: dict[str, Any] = {"name": name, "image": "shop/app:1"}
        env = draw(environments())
        if env:
            item["env"] = env
        mounts = draw(st.lists(st.sampled_from(volumes), unique=True)) if volumes else []
        if mounts:
            item["volumeMounts"] = [{"name": mount, "mountPath": f"/mnt/{mount}"} for mount in mounts]
        containers.append(item)
    annotations = dict(OPT_IN)
    if draw(st.booleans()):
        annotations["grpctracing.dev/containers"] = ",".join(
            draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        )
    if draw(st.integers(0, 4)) == 0:
        annotations["grpctracing.dev/bootstrap"] = "false"
    return deployment(
        annotations=annotations,
        containers=containers,
        volumes=[{"name": name, "emptyDir": {}} for name in volumes],
    )


@st.composite
def tracings(draw: st.DrawFn) -> GrpcTracing:
    """Any valid GrpcTracing, as far as injection looks at it."""
    kind = draw(st.sampled_from(["parentbased_always_on", "always_off", "traceidratio", "parentbased_traceidratio"]))
    sampler = {"type": kind} | (
        {"argument": draw(st.sampled_from(["0", "0.1", "1"]))} if kind.endswith("ratio") else {}
    )
    spec: dict[str, Any] = {
        "sampler": sampler,
        "propagators": draw(st.sampled_from([["tracecontext"], ["tracecontext", "baggage"], ["b3"]])),
        "resourceAttributes": draw(st.sampled_from([{}, {"deployment.environment.name": "production, eu=1"}])),
        "env": draw(st.sampled_from([[], [{"name": "OTEL_BSP_SCHEDULE_DELAY", "value": "1000"}]])),
        "bootstrap": {"enabled": draw(st.booleans())},
    }
    if draw(st.booleans()):
        external: dict[str, Any] = {"endpoint": "https://collector.example:4317", "protocol": "grpc"}
        if draw(st.booleans()):
            external["headersSecretRef"] = {"name": "token", "key": "headers"}
        spec["collector"] = {"mode": "External", "external": external}
    return tracing(spec=spec)


FINDINGS = st.sampled_from(
    [
        None,
        Failure("the quota is used up"),
        Report(),
        Report((2, 7)),
        Report((3, 11)),
        Report((3, 11), "1.60.0"),
        Report((3, 11), "1.60.0", pythonpath="/image:/lib"),
        Report((3, 11), "1.60.0", pythonpath="/image/$(LOG_LEVEL)", variables=frozenset({"OTEL_PROPAGATORS"})),
    ]
)


@st.composite
def probes(draw: st.DrawFn) -> dict[str, Any] | None:
    """What the preflight may know of the containers that `deployments` makes."""
    names = ["app", "worker", "istio-proxy", "b", "web"]
    return draw(st.none() | st.fixed_dictionaries(dict.fromkeys(names, FINDINGS)))
