"""The operator running against a real API server, and what stands in for the rest of a cluster.

There is no controller-manager here: `Rollouts` plays it, so that a rollout ends when and as a test wants it to.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grpctracing.controllers.engine import Engine
from grpctracing.kube import config, errors
from grpctracing.kube.client import MERGE, Client
from grpctracing.kube.resources import (
    BY_KIND,
    DEPLOYMENTS,
    GRPC_TRACINGS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    Resource,
)
from grpctracing.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
PAYLOAD = {"sitecustomize.py": "# stub\n", "_grpctracing.hook.py": "# hook\n"}
SETTINGS = Settings(http_port=0, proof_seconds=0, resync_seconds=600, requests_per_second=1000)
RATIO = {"type": "parentbased_traceidratio", "argument": "0.1"}
numbers = itertools.count(1)


async def eventually(check: Callable[[], Any], within: float = 15.0) -> Any:
    """Return the first true answer of *check* (sync or async); fails with the last one."""
    end = time.monotonic() + within
    while True:
        answer = check()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < end, f"still {answer!r} after {within} s"
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[Client]:
    client = Client(await config.load({"KUBECONFIG": str(kubeconfig)}), rate=1000)
    try:
        yield client
    finally:
        await client.close()
        await asyncio.sleep(
            0.25
        )  # TLS connections, kopf's too, say goodbye in their own time (aiohttp, "Graceful Shutdown")


@dataclass
class Place:
    """One namespace, and short words for what tests do in it."""

    client: Client
    namespace: str

    async def create(self, obj: dict[str, Any], manager: str = "user") -> dict[str, Any]:
        path = BY_KIND[obj["kind"]].path(self.namespace)
        return await self.client._json("POST", path, query={"fieldManager": manager}, body=obj)

    async def get(self, kind: str, name: str) -> dict[str, Any] | None:
        try:
            return await self.client.get(BY_KIND[kind], self.namespace, name)
        except errors.NotFound:
            return None

    async def must(self, kind: str, name: str) -> dict[str, Any]:
        return await self.client.get(BY_KIND[kind], self.namespace, name)

    async def names(self, kind: str) -> set[str]:
        return {obj["metadata"]["name"] for obj in await self.client.list(BY_KIND[kind], self.namespace)}

    async def change(self, kind: str, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        """A user's merge patch."""
        path = BY_KIND[kind].path(self.namespace, name)
        return await self.client._json("PATCH", path, query={"fieldManager": "user"}, body=patch, content_type=MERGE)

    async def annotate(self, name: str, value: str | None) -> None:
        await self.change("Deployment", name, {"metadata": {"annotations": {"grpctracing.dev/inject": value}}})

    async def delete(self, kind: str, name: str) -> None:
        await self.client._json("DELETE", BY_KIND[kind].path(self.namespace, name))

    async def tracing(self, name: str = "default", **spec: Any) -> dict[str, Any]:
        spec = {"selector": {}, "sampler": RATIO, "preflight": "Never", **spec}  # no kubelet runs a preflight pod here
        body = {
            "apiVersion": GRPC_TRACINGS.api_version,
            "kind": GRPC_TRACINGS.kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        return await self.create(body)

    async def workload(
        self, name: str = "payment-service", env: dict[str, str] | None = None, **meta: Any
    ) -> dict[str, Any]:
        return await self.create(deployment(name, env, **meta))

    async def conditions(self, name: str = "default") -> dict[str, dict[str, Any]]:
        obj = await self.must("GrpcTracing", name)
        return {condition["type"]: condition for condition in obj.get("status", {}).get("conditions", ())}

    async def listed(self, tracing: str = "default") -> dict[str, dict[str, Any]]:
        obj = await self.must("GrpcTracing", tracing)
        return {entry["name"]: entry for entry in obj.get("status", {}).get("workloads", ())}

    async def injected(self, name: str = "payment-service") -> dict[str, Any] | None:
        """The Deployment, when it carries the injection."""
        live = await self.get("Deployment", name)
        return live if live and "GRPCTRACING_POD_NAME" in env_of(live) else None

    async def clean(self, name: str = "payment-service") -> dict[str, Any] | None:
        """The Deployment, when it carries nothing of ours."""
        live = await self.get("Deployment", name)
        return live if live and "grpctracing" not in str(live["spec"]).lower() else None


def deployment(name: str, env: dict[str, str] | None = None, **meta: Any) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, **meta},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [
                        {
                            "name": "app",
                            "image": f"registry.invalid/{name}:1",
                            "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
                        }
                    ]
                },
            },
        },
    }


def env_of(live: dict[str, Any], container: int = 0) -> dict[str, Any]:
    entries = live["spec"]["template"]["spec"]["containers"][container].get("env", [])
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def version(live: dict[str, Any]) -> tuple[str, int]:
    return live["metadata"]["resourceVersion"], live["metadata"]["generation"]


@dataclass
class Rollouts:
    """Completes every rollout of a namespace at once, as a controller-manager with a fast cluster would; with exceptions."""

    client: Client
    namespace: str
    stuck: set[str] = field(default_factory=set)
    """Those whose new pods do not come up while they carry the injection."""
    crashing: set[str] = field(default_factory=set)
    """Those whose new pods crash while they carry the injection."""
    given_up: set[str] = field(default_factory=set)
    """Those of the stuck whose `progressDeadlineSeconds` are over."""
    short: set[str] = field(default_factory=set)
    """Those that have one available pod less than they should have."""

    async def run(self) -> None:
        while True:
            for live in await self.client.list(DEPLOYMENTS, self.namespace):
                await self._complete(live)
            await asyncio.sleep(0.1)

    async def _complete(self, live: dict[str, Any]) -> None:
        name, generation = live["metadata"]["name"], live["metadata"]["generation"]
        replicas = live["spec"]["replicas"]
        status = {"observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas}
        up = replicas
        if name in self.short:
            up = replicas - 1
        elif name in self.stuck | self.crashing and "GRPCTRACING_POD_NAME" in env_of(live):
            status |= {"replicas": replicas + 1, "updatedReplicas": 1}
            if name in self.crashing:
                await self._crash(live)
            if name in self.given_up:
                status["conditions"] = [
                    {
                        "type": "Progressing",
                        "status": "False",
                        "reason": "ProgressDeadlineExceeded",
                        "message": "timed out",
                    }
                ]
        status |= {"availableReplicas": up, "readyReplicas": up}
        if any(
            live.get("status", {}).get(field) != value
            for field, value in status.items()
            if value or field in live.get("status", {})
        ):
            path = DEPLOYMENTS.path(self.namespace, name, "status")
            query = {"fieldManager": "controller-manager"}
            with contextlib.suppress(errors.NotFound):
                await self.client._json("PATCH", path, query=query, body={"status": status}, content_type=MERGE)

    async def _crash(self, live: dict[str, Any]) -> None:
        """Make what the controllers and the kubelet would: a ReplicaSet of the present template, a pod that crashes."""
        name = f"{live['metadata']['name']}-{live['metadata']['generation']}"
        labels = live["spec"]["selector"]["matchLabels"] | {"pod-template-hash": str(live["metadata"]["generation"])}
        template = live["spec"]["template"] | {"metadata": {"labels": labels}}
        revision = {"deployment.kubernetes.io/revision": str(live["metadata"]["generation"])}
        replica_set = {
            "metadata": {"name": name, "labels": labels, "annotations": revision, "ownerReferences": [owned_by(live)]},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        }
        try:
            made = await self.client.create(REPLICA_SETS, self.namespace, replica_set)
        except errors.Conflict:
            return
        made |= {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
        metadata = {"name": f"{name}-x", "labels": labels, "ownerReferences": [owned_by(made)]}
        # No admission plug-in of this API server makes the account that a pod runs as.
        spec = template["spec"] | {"automountServiceAccountToken": False}
        await self.client.create(PODS, self.namespace, {"metadata": metadata, "spec": spec})
        ended = {"terminated": {"exitCode": 3, "reason": "Error", "message": "password=hunter2"}}
        container = {"name": "app", "image": "x", "imageID": "x", "restartCount": 4, "ready": False, "lastState": ended}
        container["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
        path = PODS.path(self.namespace, f"{name}-x", "status")
        body = {"status": {"phase": "Running", "containerStatuses": [container]}}
        await self.client._json("PATCH", path, query={"fieldManager": "kubelet"}, body=body, content_type=MERGE)


def owned_by(obj: dict[str, Any]) -> dict[str, Any]:
    """The reference of what *obj* controls."""
    metadata = obj["metadata"]
    kind, version = obj.get("kind", "Deployment"), obj.get("apiVersion", "apps/v1")
    return {"apiVersion": version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}


@contextlib.asynccontextmanager
async def running(
    client: Client, *namespaces: str, payload: dict[str, str] | None = None, **changes: Any
) -> AsyncIterator[Engine]:
    """The operator, in this process, synced and having looked at everything once."""
    settings = Settings(
        **{name: getattr(SETTINGS, name) for name in Settings.__slots__} | {"watch_namespaces": namespaces} | changes
    )
    engine = Engine(client, settings, payload or PAYLOAD)
    stop = asyncio.Event()
    task = asyncio.create_task(engine.run(stop))
    try:
        await eventually(lambda: task.done() or engine.unready() is None)
        if not task.done():
            yield engine
    finally:
        stop.set()
        await asyncio.wait_for(task, 15)


async def settled(engine: Engine, seconds: float = 1.0) -> None:
    """Wait until the operator has had nothing to do for *seconds*."""
    quiet = time.monotonic()
    end = quiet + 20
    while time.monotonic() - quiet < seconds:
        assert time.monotonic() < end, "the operator never comes to rest"
        await asyncio.sleep(0.05)
        if not engine.idle():
            quiet = time.monotonic()


async def new_namespace(client: Client) -> str:
    name = f"operator-{next(numbers)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    await client._json("POST", NAMESPACES.path(), body=body)
    return name


async def install_crd(client: Client, body: dict[str, Any]) -> None:
    """Apply the CRD and wait until its kind is served."""
    name = body["metadata"]["name"]
    query = {"fieldManager": "test", "force": "true"}
    await client._json(
        "PATCH", CRDS.path(None, name), query=query, body=body, content_type="application/apply-patch+yaml"
    )

    async def served() -> bool:
        try:
            await client.list(GRPC_TRACINGS)
        except errors.NotFound:
            return False
        return True

    await eventually(served)


def without_server_fields(live: dict[str, Any]) -> dict[str, Any]:
    """What a user sees as theirs: the spec."""
    return copy.deepcopy(live["spec"])
