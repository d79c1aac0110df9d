"""The operator as its container starts it: a process, all namespaces, JSON on stdout, SIGTERM, kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from tests.api.running import eventually, without_server_fields

pytestmark = pytest.mark.api

ROOT = Path(__file__).parents[2]


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def environment(control_plane, port):
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "operator"),
        "KUBECONFIG": str(control_plane.kubeconfig),
        "GRPCTRACING_PAYLOAD_DIR": str(ROOT / "sidecar" / "payload"),
        "GRPCTRACING_HTTP_PORT": str(port),
        "GRPCTRACING_PROOF_SECONDS": "0",
    }


@contextlib.asynccontextmanager
async def started(environment):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "grpctracing.cli", "run", env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ask(port, path):
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status, await response.text()
    except aiohttp.ClientError as error:
        return 0, str(error)


async def answers(port, path):
    return (await ask(port, path))[0] == 200


async def test_it_serves_all_namespaces_and_ends_on_sigterm(place, rollouts, environment, port):
    before = await place.workload()
    await place.tracing()
    async with started(environment) as process:
        await eventually(lambda: answers(port, "/readyz"), within=30)
        live = await eventually(place.injected)
        await eventually(lambda: finalized(place))
        _, metrics = await ask(port, "/metrics")
        assert 'grpctracing_deployment_writes_total{action="inject"}' in metrics
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place))
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), 10)
        assert time.monotonic() - asked < 5
    assert process.returncode == 0
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert events[0] == "starting"
    assert events[-1] == "stopped"
    assert {"injected", "reverted", "left"} <= set(events)
    assert live["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert without_server_fields(await place.must("Deployment", "payment-service")) == without_server_fields(before)


async def finalized(place):
    return (await place.must("GrpcTracing", "default"))["metadata"].get("finalizers")


async def gone(place):
    return await place.get("GrpcTracing", "default") is None


async def test_killed_at_any_moment_it_converges_with_one_patch_each(place, rollouts, environment):
    names = [f"service-{number}" for number in range(10)]
    for name in names:
        await place.workload(name)
    await place.tracing(rollout={"maxConcurrent": 100})
    environment["GRPCTRACING_WATCH_NAMESPACES"] = place.namespace
    for delay in (2.0, 2.5, 3.0):
        async with started(environment) as process:
            await asyncio.sleep(delay)
            process.kill()
    async with started(environment):
        for name in names:
            live = await eventually(lambda name=name: place.injected(name), within=30)
            assert live["metadata"]["generation"] == 2, "one patch, whoever was killed in between"


async def test_a_payload_that_is_not_there_is_told_before_anything_starts(environment):
    environment["GRPCTRACING_PAYLOAD_DIR"] = "/nowhere"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "grpctracing.cli", "run", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert b'GRPCTRACING_PAYLOAD_DIR: "/nowhere" has no sitecustomize.py' in complaint
