"""The Collector's Deployment: fits the `restricted` Pod Security Standard, bounded in memory, ready when it serves."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from grpctracing.api.quantity import amount
from grpctracing.collector import names

if TYPE_CHECKING:
    from grpctracing.api import GrpcTracing, ManagedCollector

USER: Final = 10001  # the user of the official images
REQUESTS: Final = {"cpu": "50m", "memory": "128Mi"}
MEMORY_LIMIT: Final = "512Mi"
HEAP_SHARE: Final = 0.8
GRACE_SECONDS: Final = 10
MIB: Final = 2**20


def deployment(tracing: GrpcTracing, image: str, rendered: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the Deployment; *rendered* is the configuration, whose hash makes a change of it a rollout."""
    managed = tracing.spec.collector.managed
    pod_spec: dict[str, Any] = {
        "serviceAccountName": names.NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS + 20,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(managed, image)],
        "volumes": _volumes(managed),
    }
    if managed.replicas > 1:
        pod_spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.selector(tracing)},
            }
        ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": managed.replicas,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": names.selector(tracing)},
            # The new pod serves before the old one goes: no span is refused because of a change of configuration.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {
                    "labels": names.labels(tracing),
                    "annotations": {names.CONFIG_HASH: hashlib.sha256(rendered.encode()).hexdigest()[:16]},
                },
                "spec": pod_spec,
            },
        },
    }


def _container(managed: ManagedCollector, image: str) -> dict[str, Any]:
    resources = _resources(managed)
    return {
        "name": names.NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [f"--config={names.CONFIG_PATH}/{names.CONFIG_KEY}"],
        "env": _environment(managed, int(amount(resources["limits"]["memory"]))),
        "ports": [
            {"name": "otlp-grpc", "containerPort": names.PORT_GRPC},
            {"name": "otlp-http", "containerPort": names.PORT_HTTP},
            {"name": "metrics", "containerPort": names.PORT_METRICS},
            {"name": "own-metrics", "containerPort": names.PORT_OWN_METRICS},
            {"name": "health", "containerPort": names.PORT_HEALTH},
            *([{"name": "otlp-peer", "containerPort": names.PORT_PEER}] if managed.replicas > 1 else []),
        ],
        "readinessProbe": {"httpGet": {"path": "/", "port": "health"}, "periodSeconds": 5, "timeoutSeconds": 3},
        "livenessProbe": {
            "httpGet": {"path": "/", "port": "health"},
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "config", "mountPath": names.CONFIG_PATH, "readOnly": True},
            *(
                {"name": f"ca-{number}", "mountPath": names.ca_directory(number), "readOnly": True}
                for number, entry in enumerate(managed.exporters, start=1)
                if entry.ca_secret_ref
            ),
        ],
    }


def _resources(managed: ManagedCollector) -> dict[str, Any]:
    given = managed.resources
    limits = {"memory": MEMORY_LIMIT, **((given and given.limits) or {})}
    requests = dict(REQUESTS if given is None or given.requests is None else given.requests)
    if amount(requests.get("memory", 0)) > amount(limits["memory"]):
        # The default of one beside the user's other: the pod would be refused.
        if given and given.requests and "memory" in given.requests:
            limits["memory"] = requests["memory"]
        else:
            requests["memory"] = limits["memory"]
    return {"requests": requests, "limits": limits}


def _environment(managed: ManagedCollector, memory: int) -> list[dict[str, Any]]:
    heap = max(int(memory * HEAP_SHARE) // MIB, 1)
    secrets = [
        {"name": names.header_variable(number, index), "valueFrom": {"secretKeyRef": header.secret_ref.model_dump()}}
        for number, entry in enumerate(managed.exporters, start=1)
        for index, header in enumerate(entry.headers, start=1)
        if header.secret_ref
    ]
    return [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "GOMEMLIMIT", "value": f"{heap}MiB"},
        *secrets,
    ]


def _volumes(managed: ManagedCollector) -> list[dict[str, Any]]:
    authorities = [
        {
            "name": f"ca-{number}",
            "secret": {
                "secretName": entry.ca_secret_ref.name,
                "items": [{"key": entry.ca_secret_ref.key, "path": entry.ca_secret_ref.key}],
            },
        }
        for number, entry in enumerate(managed.exporters, start=1)
        if entry.ca_secret_ref
    ]
    return [{"name": "config", "configMap": {"name": names.NAME}}, *authorities]
