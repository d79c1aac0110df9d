"""Two operators that would work in the same namespace: the later one says so and waits."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

import pytest

from grpctracing.controllers.engine import Engine
from grpctracing.kube import neighbours as module
from grpctracing.kube.lease import Elector
from grpctracing.kube.neighbours import Neighbours, Outranked
from grpctracing.kube.resources import LEASES, Key
from grpctracing.kube.selectors import parse
from tests.api.running import PAYLOAD, SETTINGS, eventually

pytestmark = pytest.mark.api


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.2)


def parts(place, lease, *namespaces, selector=None):
    neighbours = Neighbours(place.client, Key(place.namespace, lease), namespaces, selector and parse(selector))
    notes = lambda: neighbours.claim.notes  # noqa: E731 - as cli.run has it
    return Elector(place.client, Key(place.namespace, lease), 10, notes=notes), neighbours


@contextlib.asynccontextmanager
async def operator(place, lease):
    settings = dataclasses.replace(SETTINGS, watch_namespaces=(place.namespace,))
    engine = Engine(place.client, settings, PAYLOAD, *parts(place, lease, place.namespace))
    stop = asyncio.Event()
    task = asyncio.create_task(engine.run(stop))
    try:
        yield engine
    finally:
        stop.set()
        await asyncio.wait_for(task, 30)


async def test_a_second_release_waits_and_says_for_whom_until_the_first_is_uninstalled(place, rollouts):
    await place.workload("before")
    await place.tracing()
    async with operator(place, "first"):
        await eventually(lambda: place.injected("before"), within=30)
        async with operator(place, "second") as second:
            said = await eventually(lambda: "another operator" in (second.unready() or "") and second.unready(), 30)
            assert f"works in {place.namespace} already: the one of Lease {place.namespace}/first" in said
            assert {lease["metadata"]["name"] for lease in await leases(place)} == {"first"}, "it is no candidate"
            async with operator(place, "first") as another_replica:
                await eventually(lambda: another_replica.elector._seen, 30)
                assert another_replica.unready() is None, "a replica, or a new release of the same, is let in"
    async with operator(place, "second") as second:
        await eventually(lambda: "another operator" in (second.unready() or ""), 30)  # it may be back any moment
        (lease,) = await leases(place)
        await place.client.delete(LEASES, lease)  # as `uninstall` does
        await place.workload("after")
        await eventually(lambda: place.injected("after"), within=30)


async def test_operators_with_namespaces_of_their_own_and_new_releases_are_let_in(place):
    elector, neighbours = parts(place, "first", "a", "b")
    await neighbours.give_way()
    await elector.acquire()
    await neighbours.insist()
    await elector.release()
    for lease, namespaces in (("second", ("c",)), ("first", ("a", "b"))):
        elector, neighbours = parts(place, lease, *namespaces)
        await asyncio.wait_for(neighbours.give_way(), 20)
        await elector.acquire()
        await neighbours.insist()
        await elector.release()
    elector, neighbours = parts(place, "third", "b", "d")
    await elector.acquire()  # both began at once: neither had seen the other
    with pytest.raises(Outranked, match=r"works in b already.*/first"):
        await neighbours.insist()
    await elector.release()


async def test_operators_whose_labels_rule_each_other_out_are_let_in_and_no_others(place):
    only = f"kubernetes.io/metadata.name in ({place.namespace})"  # other tests' Leases are for namespaces of their own
    for lease, selector in (
        ("first", f"{only},team in (a, b)"),
        ("second", f"{only},team=c"),
        ("third", f"{only},!team"),
    ):
        elector, neighbours = parts(place, lease, selector=selector)
        await asyncio.wait_for(neighbours.give_way(), 20)
        await elector.acquire()
        await neighbours.insist()
        await elector.release()
    elector, neighbours = parts(place, "fourth", selector=f"{only},team=b")
    await elector.acquire()
    with pytest.raises(Outranked, match=r'namespaces with the labels ".*team in \(a, b\)" already.*/first'):
        await neighbours.insist()
    await elector.release()


async def leases(place):
    return await place.client.list(LEASES, place.namespace)
