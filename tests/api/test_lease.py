"""The election on a real API server, with clocks that the test moves: nobody waits, and no two ever lead."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time

import pytest

from grpctracing.controllers.engine import Engine
from grpctracing.kube import errors
from grpctracing.kube.client import MERGE, Client
from grpctracing.kube.lease import Elector, Lost
from grpctracing.kube.resources import LEASES, Key
from tests.api.running import PAYLOAD, SETTINGS, eventually

pytestmark = pytest.mark.api

LONG = 300
"""Seconds of the lease: nothing happens by itself while a test runs."""


class Clock:
    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead


class Candidate(Elector):
    """An elector with a clock of its own."""

    def __init__(self, place):
        self.clock = Clock()
        super().__init__(place.client, Key(place.namespace, "operator"), LONG, self.clock)


@contextlib.asynccontextmanager
async def candidacy(elector):
    """The elector wants the Lease, for as long as this block runs."""
    task = asyncio.create_task(elector.acquire())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def leader(place):
    elector = Candidate(place)
    await asyncio.wait_for(elector.acquire(), 15)
    return elector


@pytest.fixture
def other(place):
    return Candidate(place)


async def lease(place):
    return await place.client.get(LEASES, place.namespace, "operator")


async def write(place, body):
    """What somebody else does to the Lease."""
    return await place.client.patch(LEASES, place.namespace, "operator", body, kind=MERGE)


async def knows(elector, holder):
    return elector._seen is not None and elector._seen.record.holder == holder.me


async def test_of_many_that_want_a_new_lease_one_gets_it(place):
    electors = [Candidate(place) for _ in range(5)]
    async with contextlib.AsyncExitStack() as stack:
        for elector in electors:
            await stack.enter_async_context(candidacy(elector))
        (winner,) = await eventually(lambda: [elector for elector in electors if elector.leads()])
        await eventually(lambda: all(elector._seen for elector in electors if elector is not winner))
        assert [elector for elector in electors if elector.leads()] == [winner]
        assert (await lease(place))["spec"]["holderIdentity"] == winner.me


async def test_a_lease_that_is_given_back_is_taken_at_once(place, leader, other):
    async with candidacy(other) as taking:
        await eventually(lambda: knows(other, leader))
        await leader.release()
        await asyncio.wait_for(taking, 15)
    assert (other.leads(), leader.leads()) == (True, False)


async def test_who_stops_without_the_lease_leaves_it_to_its_holder(place, leader, other):
    async with candidacy(other):
        await eventually(lambda: knows(other, leader))
    await other.release()
    assert (await lease(place))["spec"]["holderIdentity"] == leader.me


async def test_whoever_reads_an_old_renewal_first_waits_for_the_whole_lease(place, leader, other):
    await write(place, {"spec": {"renewTime": "1970-01-01T00:00:00.000000Z", "acquireTime": None}})
    async with candidacy(other):
        await eventually(lambda: knows(other, leader))
        other.clock.ahead = LONG - 30
        assert other._step() == "wait"


async def test_a_leader_that_slept_has_lost_before_it_knows_of_its_successor(place, leader, other):
    async with candidacy(other):
        await eventually(lambda: knows(other, leader))
    leader.clock.ahead = other.clock.ahead = LONG
    assert not leader.leads()
    await asyncio.wait_for(other.acquire(), 15)
    with pytest.raises(Lost, match=f"taken by {other.me}"):
        await leader._renew()
    assert (await lease(place))["spec"]["holderIdentity"] == other.me


@pytest.mark.parametrize("change", ["annotated", "renewed by a request whose answer was lost"])
async def test_a_lease_that_somebody_has_touched_is_renewed_all_the_same(place, leader, change):
    meddling = {"metadata": {"annotations": {"a": "b"}}} if change == "annotated" else {"spec": {"leaseTransitions": 0}}
    await write(place, meddling)
    leader.clock.ahead = leader.times.deadline - 1
    await leader._renew()
    leader.clock.ahead += 2
    assert leader.leads()


async def test_a_deleted_lease_stays_with_its_holder(place, leader, other):
    async with candidacy(other):
        await eventually(lambda: knows(other, leader))
        await place.client.delete(LEASES, await lease(place))
        await eventually(lambda: other._lease is None)
        assert other._step() == "wait"
        await leader._renew()
    assert leader.leads()
    assert (await lease(place))["spec"]["holderIdentity"] == leader.me


async def test_renewals_that_fail_cost_the_leadership_at_the_deadline(place, leader, monkeypatch):
    async def refuse(*_, **__):
        raise errors.Unavailable(503, "etcd is away")

    monkeypatch.setattr(leader, "times", dataclasses.replace(leader.times, lease=1))
    monkeypatch.setattr(leader, "_patch", refuse)
    leader.clock.ahead = LONG * 0.7 - 2
    assert leader.leads()
    with pytest.raises(Lost, match="not renewed for"):
        await asyncio.wait_for(leader.keep(), 15)
    assert not leader.leads()


async def test_an_operator_whose_time_is_over_writes_nothing_even_before_it_notices(place, rollouts):
    await place.workload("before")
    elector = Candidate(place)
    client = Client(place.client.configuration, rate=1000, may_write=elector.leads)
    engine = Engine(client, dataclasses.replace(SETTINGS, watch_namespaces=(place.namespace,)), PAYLOAD, elector)
    stop = asyncio.Event()
    running = asyncio.create_task(engine.run(stop))
    try:
        await eventually(elector.leads)
        await place.tracing()
        await eventually(lambda: place.injected("before"))
        await eventually(lambda: finalized(place, "default"))
        elector.clock.ahead = LONG
        await place.workload("after")
        await place.tracing("second")
        await eventually(lambda: Key(place.namespace, "after") in engine.workload_queue._failures)
        await eventually(lambda: Key(place.namespace, "second") in engine.tracing_queue._failures)
        with pytest.raises(errors.NotLeader):
            await client.create(LEASES, place.namespace, {})
        assert (await place.must("Deployment", "after"))["metadata"]["generation"] == 1
        assert not await finalized(place, "second"), "kopf asks too"
    finally:
        stop.set()
        await asyncio.wait_for(running, 15)
        await client.close()
        await asyncio.sleep(0.25)  # as in `running.connected`


async def finalized(place, name):
    return (await place.must("GrpcTracing", name))["metadata"].get("finalizers")
