"""Operator, workload, annotation, object, and room for our ConfigMaps, in every order: the end is always the same."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter, defaultdict
from dataclasses import dataclass

import pytest

from grpctracing.kube import config, errors, queue
from grpctracing.kube.client import Client
from grpctracing.kube.resources import CONFIG_MAPS, DEPLOYMENTS, GRPC_TRACINGS, Key, key_of
from tests.api.running import Place, Rollouts, eventually, new_namespace, running

pytestmark = pytest.mark.api

EVENTS = ("operator", "workload", "annotation", "object", "room")


def differs(order):
    """Whether an order can happen, and differs from all others: room is missed only once the operator sees an object."""
    at = order.index
    return at("workload") < at("annotation") and (at("room") == 0 or at("room") > max(at("operator"), at("object")))


ORDERS = [order for order in itertools.permutations(EVENTS) if differs(order)]
NAME = "payment-service"
EXTERNAL = {"mode": "External", "external": {"endpoint": "http://collector.invalid:4317"}}
ROUNDS = 20
PATIENCE = 90.0  # one operator and one API server look after all orders at once


class Crowded(Client):
    """The operator's client; in the namespaces that are *full* it is refused any ConfigMap. Counts *patches* of the workloads."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.full = set()
        self.patches = Counter()

    async def apply(self, resource, body, *, force):
        if resource is CONFIG_MAPS and body["metadata"]["namespace"] in self.full:
            raise errors.Forbidden(403, "exceeded quota: full, requested: count/configmaps=1, used: 0, limited: 0")
        return await super().apply(resource, body, force=force)

    async def patch(self, resource, namespace, name, *args, **more):
        answer = await super().patch(resource, namespace, name, *args, **more)
        self.patches[namespace] += resource is DEPLOYMENTS
        return answer


@dataclass
class Play:
    """One order, in a namespace of its own."""

    place: Place
    crowded: Crowded
    order: tuple[str, ...]

    @property
    def before(self):
        return self.order[: self.order.index("operator")]

    @property
    def after(self):
        return self.order[self.order.index("operator") + 1 :]

    async def begin(self):
        self.crowded.full.add(self.place.namespace)
        for event in self.before:
            await self.do(event)

    async def do(self, event):
        match event:
            case "workload":
                await self.place.workload(NAME)
            case "annotation":
                await self.place.annotate(NAME, "true")
            case "object":
                await self.place.tracing(selector=None, collector=EXTERNAL)
            case "room":
                self.crowded.full.remove(self.place.namespace)

    def told(self, engine):
        """Whether the operator has said of the workload that all is done, as far as it has heard itself."""
        tracing = engine.world.tracings.get(Key(self.place.namespace, "default")) or {}
        return done(tracing.get("status", {}))

    def seen(self, engine, turn):
        """Whether the operator has heard of all that was done up to a *turn*."""
        live = engine.world.deployments.get(Key(self.place.namespace, NAME)) or {"metadata": {}}
        heard = {
            "workload": bool(live["metadata"]),
            "annotation": "grpctracing.dev/inject" in (live["metadata"].get("annotations") or {}),
            "object": engine.world.tracings.get(Key(self.place.namespace, "default")) is not None,
        }
        return all(heard.get(event, True) for event in (*self.before, *self.after[: turn + 1]))


def done(status):
    ready = {condition["type"]: condition["status"] for condition in status.get("conditions", ())}.get("Ready")
    return ready == "True" and [entry["state"] for entry in status.get("workloads", ())] == ["Injected"]


def end(namespace, live, tracing, config_maps):
    """All that a user sees of a namespace, without times."""
    status = tracing["status"]
    for item in (*status["conditions"], *status["workloads"]):
        item.pop("lastTransitionTime", None)
    seen = {"template": live["spec"]["template"], "status": status, "config maps": config_maps}
    return json.dumps(seen, sort_keys=True).replace(namespace, "NAMESPACE")


async def ends(client, plays):
    """The orders by the end that they have come to."""
    live = {key_of(obj): obj for obj in await client.list(DEPLOYMENTS)}
    tracings = {key_of(obj): obj for obj in await client.list(GRPC_TRACINGS)}
    config_maps = sorted(key_of(obj) for obj in await client.list(CONFIG_MAPS))
    found = defaultdict(list)
    for play in plays:
        where = play.place.namespace
        names = [key.name for key in config_maps if key.namespace == where]
        found[end(where, live[where, NAME, ""], tracings[where, "default", ""], names)].append(play.order)
    return found


@contextlib.asynccontextmanager
async def rolled_out(client, plays):
    """Complete the rollouts of all namespaces."""
    rollouts = {play.place.namespace: Rollouts(client, play.place.namespace) for play in plays}

    async def run():
        async for event in client.watch(DEPLOYMENTS, None, {}, inactivity=600):
            live = event["object"]
            if event["type"] != "DELETED" and live["metadata"]["namespace"] in rollouts:
                await rollouts[live["metadata"]["namespace"]]._complete(live)

    task = asyncio.create_task(run())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(queue, "LONGEST_RETRY", 1.0)


@pytest.fixture
async def crowded(control_plane):
    client = Crowded(await config.load({"KUBECONFIG": str(control_plane.kubeconfig)}), rate=1000)
    yield client
    await client.close()


async def test_whatever_comes_first_the_end_is_the_same_and_costs_one_patch(client, crowded):
    plays = [Play(Place(client, await new_namespace(client)), crowded, order) for order in ORDERS]
    async with rolled_out(client, plays):
        await asyncio.gather(*(play.begin() for play in plays))
        async with running(crowded) as engine:
            for turn in range(len(EVENTS) - 1):
                await asyncio.gather(*(play.do(play.after[turn]) for play in plays if len(play.after) > turn))
                await eventually(lambda turn=turn: all(play.seen(engine, turn) for play in plays), PATIENCE)
                await eventually(engine.idle, PATIENCE)

            await eventually(lambda: all(play.told(engine) for play in plays), PATIENCE)
            for _ in range(ROUNDS):
                if len(found := await ends(client, plays)) == 1:
                    break
                await asyncio.sleep(1)  # the last word may be said a moment after the last patch
    assert len(found) == 1, found
    assert {
        order: crowded.patches[play.place.namespace] for order, play in zip(ORDERS, plays, strict=True)
    } == dict.fromkeys(ORDERS, 1)
