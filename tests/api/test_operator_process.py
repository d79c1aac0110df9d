"""The operator as its container starts it: a process, all namespaces, JSON on stdout, SIGTERM. For kill -9 see test_kills.py."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time

import pytest

from tests.api.process import answers, ask, environment_of, free_port, started
from tests.api.running import eventually, without_server_fields

pytestmark = pytest.mark.api


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def environment(control_plane, port):
    return environment_of(control_plane, port)


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


async def test_a_payload_that_is_not_there_is_told_before_anything_starts(environment):
    environment["GRPCTRACING_PAYLOAD_DIR"] = "/nowhere"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "grpctracing.cli", "run", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert b'GRPCTRACING_PAYLOAD_DIR: "/nowhere" has no sitecustomize.py' in complaint
