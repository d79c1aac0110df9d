"""Several operators, one that writes: processes that stop, die or are paused while another one stands by."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from dataclasses import dataclass
from datetime import datetime

import pytest

from grpctracing.kube.resources import DEPLOYMENTS, LEASES
from tests.api.process import answers, ask, environment_of, free_port, started
from tests.api.running import env_of, eventually

pytestmark = pytest.mark.api

LEASE_SECONDS = 10
SLACK = 15
"""Seconds that a busy machine may add to what takes the lease's time."""


@dataclass
class Operator:
    process: asyncio.subprocess.Process
    port: int

    async def metric(self, line: str) -> bool:
        return f"\n{line}" in (await ask(self.port, "/metrics"))[1]

    async def leads(self) -> bool:
        return await self.metric("grpctracing_leader 1.0")

    async def ready(self) -> bool:
        return await answers(self.port, "/readyz")

    async def ended(self) -> list[dict]:
        """What it logged in its life, once it has ended."""
        output, _ = await asyncio.wait_for(self.process.communicate(), 30)
        return [json.loads(line) for line in output.splitlines()]


@pytest.fixture
def operator(control_plane, place):
    @contextlib.asynccontextmanager
    async def run(**settings):
        port = free_port()
        environment = environment_of(control_plane, port) | {
            "GRPCTRACING_WATCH_NAMESPACES": place.namespace,
            "GRPCTRACING_LEASE": f"{place.namespace}/operator",
            "GRPCTRACING_LEASE_SECONDS": str(LEASE_SECONDS),
            **settings,
        }
        async with started(environment) as process:
            yield Operator(process, port)

    return run


async def record(place):
    return (await place.client.get(LEASES, place.namespace, "operator"))["spec"]


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


async def successor(place, holder):
    """The Lease, when somebody other than *holder* has it."""
    spec = await record(place)
    return spec if spec.get("holderIdentity") not in {holder, "", None} else None


async def test_who_stands_by_writes_nothing_and_takes_over_at_once_when_the_leader_stops(place, rollouts, operator):
    await place.workload("before")
    await place.tracing()
    async with operator() as first:
        await eventually(first.leads, within=30)
        async with operator() as second:
            await eventually(second.ready, within=30)
            await eventually(lambda: place.injected("before"))
            assert not await second.leads()
            assert not await second.metric("grpctracing_reconciles_total")
            held = await record(place)
            first.process.send_signal(signal.SIGTERM)
            taken = await eventually(lambda: successor(place, held["holderIdentity"]), within=30)
            log = await first.ended()
            await place.workload("after")
            await eventually(lambda: place.injected("after"), within=30)
            assert await second.leads()
    assert first.process.returncode == 0
    (released,) = [line["time"] for line in log if line["event"] == "lease released"]
    assert seconds_between(released, taken["acquireTime"]) < LEASE_SECONDS / 2, "nobody waited for the lease to expire"
    assert taken["leaseTransitions"] == held["leaseTransitions"] + 1


async def test_a_leader_killed_under_load_is_replaced_and_every_deployment_patched_once(place, rollouts, operator):
    names = [f"service-{number}" for number in range(20)]
    for name in names:
        await place.workload(name)

    async def patched():
        found = await place.client.list(DEPLOYMENTS, place.namespace)
        return [live for live in found if "GRPCTRACING_POD_NAME" in env_of(live)]

    async with operator(GRPCTRACING_REQUESTS_PER_SECOND="3") as first:
        await eventually(first.leads, within=30)
        async with operator() as second:
            await eventually(second.ready, within=30)
            await place.tracing(rollout={"maxConcurrent": 100})
            await eventually(patched, within=30)
            first.process.kill()
            await first.process.wait()
            assert len(await patched()) < len(names), "killed in the middle of its work"
            held = await record(place)
            taken = await eventually(lambda: successor(place, held["holderIdentity"]), within=LEASE_SECONDS + SLACK)
            waited = seconds_between(held["renewTime"], taken["acquireTime"])
            assert LEASE_SECONDS - 1 < waited < LEASE_SECONDS + SLACK
            for name in names:
                live = await eventually(lambda name=name: place.injected(name), within=30)
                assert live["metadata"]["generation"] == 2, "one patch, whoever wrote it"
            assert await second.leads()


async def test_a_leader_that_was_paused_ends_and_writes_nothing_that_its_successor_has_to_write(
    place, rollouts, operator
):
    await place.workload("before")
    await place.tracing()
    async with operator() as first:
        await eventually(lambda: place.injected("before"), within=30)
        async with operator() as second:
            await eventually(second.ready, within=30)
            first.process.send_signal(signal.SIGSTOP)
            await eventually(second.leads, within=LEASE_SECONDS + SLACK)
            for number in range(5):
                await place.workload(f"after-{number}")
            first.process.send_signal(signal.SIGCONT)
            log = await first.ended()
            for number in range(5):
                live = await eventually(lambda number=number: place.injected(f"after-{number}"), within=30)
                assert live["metadata"]["generation"] == 2
            await eventually(lambda: second.metric('grpctracing_deployment_writes_total{action="inject"} 5.0'))
    assert first.process.returncode == 1
    assert "lost the lease" in {line["event"] for line in log}
    assert {line["workload"] for line in log if line["event"] == "injected"} == {f"{place.namespace}/before"}
