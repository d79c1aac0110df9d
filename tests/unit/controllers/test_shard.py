"""Namespaces that come and go by their labels: when they may be worked in, and what has been listed by then."""

from __future__ import annotations

import asyncio

import pytest

from grpctracing.controllers.shard import HANDOVER, Shard
from grpctracing.kube.part import Part
from grpctracing.kube.resources import Key
from grpctracing.kube.selectors import parse

SHOP = Key("", "shop")


class Informer:
    """Lists as soon as it is told to; *meanwhile* is what happens before that is done."""

    def __init__(self):
        self.part, self.synced, self.listed, self.meanwhile = Part(), asyncio.Event(), [], None
        self.synced.set()

    async def take_up(self, namespace):
        self.listed.append(namespace)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()


class Told:
    def __init__(self):
        self.news = []

    async def came(self, namespace):
        self.news.append(("came", namespace))

    def left(self, namespace):
        self.news.append(("left", namespace))


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Cluster:
    def __init__(self, **labels):
        self.shard = Shard(None, parse("team=a"), clock=Clock())
        self.informer, self.told, self.version = Informer(), Told(), 1
        self.shard.follow([self.informer], self.told)
        for namespace, team in labels.items():
            self.label(namespace, team)
        self.shard.namespaces.synced.set()
        self.shard.begin()
        self.told.news.clear()

    def label(self, namespace, team):
        self.version += 1
        metadata = {"name": namespace, "uid": namespace, "resourceVersion": str(self.version), "labels": {"team": team}}
        self.shard.namespaces.store.put({"metadata": metadata})

    async def looked_at(self):
        """The namespace is looked at, as often as it asks for."""
        while self.shard.queue._ready:
            self.shard.queue._ready.take()
            await self.shard.reconcile(SHOP)


async def test_those_of_the_first_lists_may_be_worked_in_at_once():
    cluster = Cluster(shop="a", other="b")
    assert (cluster.shard.has("shop"), cluster.shard.has("other")) == (True, False)
    assert (cluster.informer.part.has("shop"), cluster.informer.part.has("other")) == (True, False)
    assert not cluster.informer.listed


async def test_a_new_one_is_listed_first():
    cluster = Cluster(other="b")
    cluster.label("shop", "a")
    assert not cluster.shard.has("shop")
    await cluster.looked_at()
    assert cluster.informer.listed == ["shop"]
    assert cluster.shard.has("shop")
    assert cluster.told.news[-1] == ("came", "shop")


async def test_one_that_was_another_operators_is_left_alone_for_a_while():
    cluster = Cluster(shop="b")
    cluster.label("shop", "a")
    assert await cluster.shard.reconcile(SHOP) == pytest.approx(HANDOVER)
    assert not cluster.informer.listed
    cluster.shard.clock.now += HANDOVER
    await cluster.shard.reconcile(SHOP)
    assert cluster.shard.has("shop")


async def test_one_that_goes_may_not_be_worked_in_from_that_moment_on():
    cluster = Cluster(shop="a")
    cluster.label("shop", "b")
    assert not cluster.shard.has("shop")
    assert not cluster.informer.part.has("shop")
    await cluster.looked_at()
    assert cluster.told.news == [("left", "shop")]


async def test_one_that_is_deleted_is_forgotten():
    cluster = Cluster(shop="a")
    cluster.shard.namespaces.store.remove(SHOP)
    assert not cluster.shard.has("shop")
    await cluster.looked_at()
    assert cluster.told.news == [("left", "shop")]


async def test_one_that_goes_and_comes_back_while_it_is_listed_is_listed_again():
    cluster = Cluster()

    def to_and_fro():
        cluster.label("shop", "b")
        cluster.label("shop", "a")

    cluster.label("shop", "a")
    cluster.informer.meanwhile = to_and_fro
    await cluster.shard.reconcile(SHOP)
    assert not cluster.shard.has("shop"), "what the watch told meanwhile was passed over"
    cluster.shard.clock.now += HANDOVER
    await cluster.looked_at()
    assert cluster.informer.listed == ["shop", "shop"]
    assert cluster.shard.has("shop")


async def test_other_labels_change_nothing():
    cluster = Cluster(shop="a")
    cluster.label("shop", "a")
    await cluster.looked_at()
    assert cluster.shard.has("shop")
    assert not cluster.told.news
