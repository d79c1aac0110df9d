"""The cluster that is looked after: namespaces, Deployments of a usual size, GrpcTracings, and what plays their controller."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grpctracing.kube import errors
from grpctracing.kube.client import MERGE, Client
from grpctracing.kube.resources import DEPLOYMENTS, GRPC_TRACINGS, Key, key_of
from tests.api.running import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable

NAMESPACE_COUNT = 500
TRACED = 100
AT_ONCE = 24
COLLECTOR = "http://collector.monitoring:4317"


def namespace(number: int) -> str:
    """Return the name of a namespace; the first TRACED of them have a GrpcTracing."""
    return f"team-{number:03}"


def deployment(name: str) -> dict[str, Any]:
    """Return a Deployment as a chart makes them: some 4 KB as the API server keeps it, with an image of its own."""
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop", "team": "payments"}
    env = [{"name": f"SETTING_{number}", "value": f"value-{number}-of-{name}"} for number in range(10)]
    env.append({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
    env.append({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": "token"}}})
    probe = {"grpc": {"port": 50051}, "periodSeconds": 10, "timeoutSeconds": 2, "failureThreshold": 3}
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    app = {
        "name": "app",
        "image": f"registry.invalid/shop/{name}:1.4.2",
        "ports": [{"name": "grpc", "containerPort": 50051}, {"name": "metrics", "containerPort": 9090}],
        "env": env,
        "resources": resources,
        "livenessProbe": probe,
        "readinessProbe": probe,
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    proxy = {"name": "istio-proxy", "image": "istio/proxyv2:1.27.0", "env": env[:5], "resources": resources}
    pod = {
        "serviceAccountName": name,
        "terminationGracePeriodSeconds": 30,
        "containers": [app, proxy],
        "volumes": [{"name": "config", "configMap": {"name": name}}, {"name": "tmp", "emptyDir": {}}],
    }
    annotations = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": "shop"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {"metadata": {"labels": labels, "annotations": {"checksum/config": name * 4}}, "spec": pod},
        },
    }


def tracing(endpoint: str = COLLECTOR) -> dict[str, Any]:
    """Return a GrpcTracing of all Deployments of its namespace, with nothing in its way."""
    return {
        "apiVersion": GRPC_TRACINGS.api_version,
        "kind": GRPC_TRACINGS.kind,
        "metadata": {"name": "default"},
        "spec": {
            "selector": {},
            "preflight": "Never",
            "rollout": {"maxConcurrent": 10000},
            "collector": {"mode": "External", "external": {"endpoint": endpoint}},
        },
    }


@dataclass
class Fleet:
    """Makes them; *size* Deployments are there, spread over the namespaces."""

    client: Client
    size: int = 0

    async def create(self, namespace: str, body: dict[str, Any]) -> None:
        """Create a Deployment or a GrpcTracing as its user."""
        resource = DEPLOYMENTS if body["kind"] == "Deployment" else GRPC_TRACINGS
        await self.client._json("POST", resource.path(namespace), query={"fieldManager": "helm"}, body=body)

    async def namespaces(self, names: Iterable[str]) -> None:
        """Create namespaces."""
        await each(
            self.client._json(
                "POST", NAMESPACES.path(), body={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
            for name in names
        )

    async def grow(self, size: int) -> None:
        """Bring the number of Deployments to *size*."""
        numbers = range(self.size, size)
        await each(self.create(namespace(n % NAMESPACE_COUNT), deployment(f"service-{n}")) for n in numbers)
        self.size = size

    async def live(self, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return the Deployments as they are."""
        return await self.client.list(DEPLOYMENTS, namespace)


async def each(work: Iterable[Awaitable[Any]]) -> None:
    """Await all of it, AT_ONCE at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Awaitable[Any]) -> None:
        async with gate:
            await item

    async with asyncio.TaskGroup() as group:
        for item in work:
            group.create_task(one(item))


@dataclass
class Controller:
    """Stands for controller-manager and kubelets: sees each Deployment and ends its rollout at once.

    *patched* is when the injection of each was seen by a watch, *versions* how often each has been injected.
    """

    client: Client
    patched: dict[Key, float] = field(default_factory=dict)
    versions: dict[Key, int] = field(default_factory=dict)
    _due: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    _injection: dict[Key, str] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Controller]:
        """Work inside the context."""
        work = [self._watch(), *(self._complete() for _ in range(8))]
        tasks = [asyncio.create_task(item) for item in work]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def idle(self) -> bool:
        """Tell whether no status waits to be written."""
        return self._due.empty()

    async def _watch(self) -> None:
        version = "0"
        while True:
            query = {"resourceVersion": version, "allowWatchBookmarks": "true"}
            with contextlib.suppress(errors.ApiError):
                async for event in self.client.watch(DEPLOYMENTS, None, query, inactivity=600):
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        self._saw(event["object"])

    def _saw(self, live: dict[str, Any]) -> None:
        key, now = key_of(live), time.monotonic()
        injection = injected(live)
        if injection != self._injection.get(key, ""):
            self._injection[key] = injection
            if injection:
                self.patched[key] = now
                self.versions[key] = self.versions.get(key, 0) + 1
        if live.get("status", {}).get("observedGeneration", 0) < live["metadata"]["generation"]:
            self._due.put_nowait(live)

    async def _complete(self) -> None:
        while True:
            live = await self._due.get()
            pods = live["spec"]["replicas"]
            counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), pods)
            # As if its pods had been well for long: the guard then waits for nothing.
            ended = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "complete"}
            ended |= {"lastUpdateTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            status = {"observedGeneration": live["metadata"]["generation"], "conditions": [ended], **counts}
            path = DEPLOYMENTS.path(live["metadata"]["namespace"], live["metadata"]["name"], "status")
            query = {"fieldManager": "controller-manager"}
            with contextlib.suppress(errors.ApiError):
                await self.client._json("PATCH", path, query=query, body={"status": status}, content_type=MERGE)


def injected(live: dict[str, Any]) -> str:
    """Return what identifies the injection of a Deployment: where its spans go; "" where there is none."""
    for container in live["spec"]["template"]["spec"]["containers"]:
        env = {entry["name"]: entry.get("value", "") for entry in container.get("env") or ()}
        if "GRPCTRACING_POD_NAME" in env:
            return str(env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "?"))
    return ""
