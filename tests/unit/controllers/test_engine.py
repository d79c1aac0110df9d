"""What is looked at, and what of it goes before the backlog: what a user has changed, and nothing else."""

from __future__ import annotations

import copy

import pytest

from grpctracing.api import Reverted
from grpctracing.controllers.engine import Engine, is_change
from grpctracing.injection import Action, Reason, State, Verdict
from grpctracing.kube import errors
from grpctracing.kube.resources import Key
from grpctracing.settings import Settings
from tests.unit.injection.builders import OPT_IN, deployment

KEY = Key("production", "payment-service")
TRACING = {
    "metadata": {"name": "default", "namespace": "production", "uid": "1", "resourceVersion": "1", "generation": 1},
    "spec": {},
}


@pytest.fixture
def engine():
    return Engine(None, Settings(), {})


def waiting(engine):
    return set(engine.workload_queue._ready._lane)


def test_where_there_is_no_object_nothing_is_looked_at_that_nobody_has_touched(engine):
    engine.world.deployments.put(deployment())
    assert not waiting(engine)


def test_a_wish_is_looked_at_also_where_there_is_no_object(engine):
    engine.world.deployments.put(deployment(annotations=OPT_IN))
    assert waiting(engine) == {KEY}


@pytest.mark.parametrize("first", ["object", "workload"])
def test_whichever_is_seen_first_object_and_workload_come_together(engine, first):
    stores = [(engine.world.tracings, TRACING), (engine.world.deployments, deployment())]
    for store, obj in stores if first == "object" else reversed(stores):
        store.put(copy.deepcopy(obj))
    assert waiting(engine) == {KEY}


def test_of_what_a_verdict_was_told_each_change_is_looked_at(engine):
    """Its object may have gone in between: what was said of it has to be taken back."""
    engine.board.report(KEY, Verdict(Action.NOTHING, State.INJECTED, Reason.UNVERIFIED, tracing="default"))
    engine.world.deployments.put(deployment())
    assert waiting(engine) == {KEY}


def test_nobody_waits_for_a_look_at_what_is_passed_over(engine):
    assert not engine.board.surveyed("production", [KEY])
    engine.world.deployments.put(deployment())
    assert engine.board.surveyed("production", [KEY])


class Down:
    """An API server that takes no status."""

    async def patch(self, *_, **__):
        raise errors.Unavailable(503, "down")


@pytest.fixture
async def failed(engine):
    """An engine that remembers a failure which it could not write."""
    engine.world.tracings.put(copy.deepcopy(TRACING))
    engine.world.deployments.put(deployment())
    memory = engine.workloads.memory
    memory.client = Down()
    rest(engine.tracing_queue)
    await memory.remember(Key("production", "default"), Reverted(name=KEY.name, injection="abc", image="abc"))
    return engine


def rest(queue):
    while queue._ready:
        queue._ready.take()


async def test_a_policy_is_looked_at_also_where_a_failure_could_not_be_written(failed):
    assert set(failed.tracing_queue._ready._lane) == {Key("production", "default")}


async def test_it_is_looked_at_when_the_images_change_that_such_a_failure_speaks_of(failed):
    rest(failed.tracing_queue)
    failed.world.deployments.put(changed(generation=2))
    assert set(failed.tracing_queue._ready._lane) == {Key("production", "default")}


def changed(**metadata):
    live = deployment()
    live["metadata"] |= {"resourceVersion": "2"} | metadata
    return live


@pytest.mark.parametrize(
    "after",
    [
        changed(generation=2),
        changed(annotations={"grpctracing.dev/inject": "true"}),
        changed(labels={"team": "payments"}),
        changed(uid="made anew"),
        None,
    ],
    ids=["spec", "annotation", "label", "made anew", "deleted"],
)
def test_what_a_user_does_is_a_change(after):
    assert is_change(deployment(), after)


def test_a_new_workload_is_a_change():
    assert is_change(None, deployment())


def test_a_resync_and_news_of_pods_are_none():
    live = deployment()
    moved = copy.deepcopy(live)
    moved["metadata"] |= {"resourceVersion": "2", "managedFields": [{"manager": "kube-controller-manager"}]}
    moved["status"] = {"replicas": 7}
    assert not is_change(live, live)
    assert not is_change(live, moved)


def test_what_was_passed_over_is_waited_for_once_somebody_asks(engine):
    engine.world.deployments.put(deployment())
    assert engine.board.surveyed("production", [KEY])
    engine.world.tracings.put(copy.deepcopy(TRACING))
    assert not engine.board.surveyed("production", [KEY]), "nobody knows yet whether it rolls out already"
    engine.board.report(KEY, Verdict(Action.NOTHING, State.INJECTED, Reason.UNVERIFIED, tracing="default"))
    assert engine.board.surveyed("production", [KEY])
    engine.world.tracings.put(
        copy.deepcopy(TRACING) | {"metadata": TRACING["metadata"] | {"generation": 2, "resourceVersion": "2"}}
    )
    assert engine.board.surveyed("production", [KEY]), "there is a verdict on each, and numbers with it"
