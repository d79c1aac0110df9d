"""What is measured, one function each; all return plain figures (seconds, MB, numbers of requests)."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, Any

import yaml

from grpctracing.kube.resources import GRPC_TRACINGS, Key
from tests.cluster import tool

from .fleet import TRACED, deployment, injected, namespace, tracing
from .process import started
from .proxy import difference, writes

if TYPE_CHECKING:
    from pathlib import Path

    from .fleet import Controller, Fleet
    from .process import Measured
    from .proxy import Proxy

QUIET = 3.0
"""Seconds without a write after which all is done."""


async def settled(
    proxy: Proxy, controller: Controller, operator: Measured | None = None, within: float = 300.0
) -> None:
    """Wait until nobody has written anything for QUIET seconds, and nothing waits in the *operator*'s queues.

    Ready is an operator that has seen everything; the first look at thousands of workloads may take it longer than QUIET.
    """
    began = time.monotonic()
    while (
        time.monotonic() - max(began, proxy.last_write, *list(controller.patched.values())[-1:]) < QUIET
        or not controller.idle()
        or (operator is not None and await operator.waiting())
    ):
        if time.monotonic() - began > within:
            raise TimeoutError("the operator never comes to rest")
        await asyncio.sleep(0.1)


async def start(operator: Measured, proxy: Proxy, within: float) -> dict[str, Any]:
    """Return what it takes from the start of the process until it is ready."""
    before = proxy.taken()
    seconds = await operator.ready(within)
    return {
        "seconds": seconds,
        "cpu": operator.cpu(),
        "rss": operator.memory(),
        "peak": operator.memory("VmHWM"),
        "requests": difference(before, proxy.taken()),
    }


async def steady(operator: Measured, proxy: Proxy, seconds: float) -> dict[str, Any]:
    """Return what it takes to do nothing for so many *seconds*."""
    before, used, began = proxy.taken(), operator.cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    asked = difference(before, proxy.taken())
    return {
        "seconds": took,
        "core": (operator.cpu() - used) / took,
        "writes": writes(asked),
        "requests": asked,
        "rss": operator.memory(),
    }


async def latency(fleet: Fleet, controller: Controller, samples: int) -> dict[str, Any]:
    """Return the milliseconds from the creation of a Deployment being accepted until a watch shows it injected."""
    taken = []
    for number in range(samples):
        where, name = namespace(number % TRACED), f"late-{fleet.size}-{number}"
        key = Key(where, name)
        began = time.monotonic()
        await fleet.create(where, deployment(name))
        while key not in controller.patched:
            if time.monotonic() - began > 30:  # noqa: PLR2004 - something is broken, not slow
                raise TimeoutError(f"{key} is not injected")
            await asyncio.sleep(0.002)
        taken.append((controller.patched[key] - began) * 1000)
        await asyncio.sleep(0.05)
    # Inclusive: the other method makes a p99 up that is longer than anything of so few samples.
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return {"samples": taken, "p50": cuts[49], "p99": cuts[98]}


async def crowd(
    fleet: Fleet, controller: Controller, proxy: Proxy, operator: Measured, kubeconfig: Path, where: str, size: int
) -> dict[str, Any]:
    """Return what follows `kubectl apply` of a GrpcTracing in a namespace of *size* Deployments."""
    manifest = kubeconfig.with_name("crowd.yaml")
    body = tracing()
    body["metadata"]["namespace"] = where
    manifest.write_text(yaml.safe_dump(body))
    before, began = proxy.taken(), time.monotonic()
    command = [tool("kubectl"), "--kubeconfig", str(kubeconfig), "apply", "-f", str(manifest)]
    await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
    applied = time.monotonic()

    def done() -> list[float]:
        return [moment for key, moment in controller.patched.items() if key.namespace == where and moment > began]

    while len(done()) < size and time.monotonic() - began < 180:  # noqa: PLR2004 - nine times the bar
        await asyncio.sleep(0.1)
    reached = done()
    await settled(proxy, controller, operator)
    asked = difference(before, proxy.taken())
    live = await fleet.live(where)
    return {
        "size": size,
        "patched": len(reached),
        "kubectl": applied - began,
        "seconds": max(reached) - began if len(reached) == size else None,
        "requests": asked,
        "once": sum(bool(injected(obj)) and obj["metadata"]["generation"] == 2 for obj in live),  # noqa: PLR2004
        "rate": len(reached) / (max(reached) - min(reached)) if len(reached) > 1 else 0.0,
    }


async def rolling(fleet: Fleet, controller: Controller, proxy: Proxy, operator: Measured) -> dict[str, Any]:
    """Return what follows a change of all GrpcTracings that needs the template of each Deployment."""
    versions = dict(controller.versions)
    traced = {namespace(number) for number in range(TRACED)}
    names = [key for key in controller.patched if key.namespace in traced]
    before, began = proxy.taken(), time.monotonic()
    patch = {"spec": tracing("http://collector.elsewhere:4317")["spec"]}
    for number in range(TRACED):
        path = GRPC_TRACINGS.path(namespace(number), "default")
        await fleet.client._json("PATCH", path, body=patch, content_type="application/merge-patch+json")
    await settled(proxy, controller, operator)
    moments = [controller.patched[key] for key in names]
    return {
        "workloads": len(names),
        "once": sum(controller.versions[key] == versions[key] + 1 for key in names),
        "seconds": max(moments) - began,
        "requests": difference(before, proxy.taken()),
    }


async def relist(operator: Measured, proxy: Proxy) -> dict[str, Any]:
    """Return what it takes when every watch is cut and answered with 410."""
    before, used, began = proxy.taken(), operator.cpu(), time.monotonic()
    cut = proxy.expire(1.0)
    quiet = before
    while proxy.taken() != quiet or time.monotonic() - began < QUIET:
        quiet = proxy.taken()
        await asyncio.sleep(QUIET)
    asked = difference(before, proxy.taken())
    return {
        "cut": cut,
        "cpu": operator.cpu() - used,
        "writes": writes(asked),
        "requests": asked,
        "peak": operator.memory("VmHWM"),
    }


async def with_kopf(kubeconfig: Path, log: Path, proxy: Proxy, within: float) -> dict[str, Any]:
    """Return what the operator of kopf's handlers takes until each Deployment has been through its handler."""
    async with started(kubeconfig, log, kopf=True) as operator:
        return await start(operator, proxy, within)
