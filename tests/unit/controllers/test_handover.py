"""A namespace that is another operator's from now on leaves nothing behind in this one, and nobody hears of deletions."""

from __future__ import annotations

import pytest

from grpctracing.api import Reverted
from grpctracing.controllers.engine import Engine
from grpctracing.injection import Action, Reason, State, Verdict
from grpctracing.kube import errors
from grpctracing.kube.resources import GRPC_TRACINGS, Key
from grpctracing.kube.selectors import parse
from grpctracing.settings import Settings
from tests.unit.injection.builders import deployment
from tests.unit.kube.fake_server import FakeServer, served

WORKLOAD, TRACING = Key("production", "payment-service"), Key("production", "default")


@pytest.fixture
async def engine():
    """One that has worked in namespace `production`, and may not any more."""
    async with served(FakeServer(respond=lambda _: {})) as client:
        engine = Engine(client, Settings(namespace_selector=parse("team=a")), {"sitecustomize.py": "# stub\n"})
        engine.world.deployments.put(deployment())
        metadata = {"namespace": "production", "name": "default", "uid": "u", "resourceVersion": "1", "generation": 1}
        engine.world.tracings.put({"metadata": metadata, "spec": {"selector": {}}})
        verdict = Verdict(Action.NOTHING, State.INJECTED, Reason.NO_SPANS_YET, tracing="default")
        engine.board.report(WORKLOAD, verdict)
        record = Reverted(kind="Deployment", name=WORKLOAD.name, injection="i", image="m", evidence="exit code 3")
        engine.workloads.memory._unsaved = {TRACING: {record.label: record}}
        assert engine.board.surveyed("production", [WORKLOAD])
        yield engine


async def test_what_is_under_way_is_not_decided_without_what_is_forgotten(engine):
    engine.handover.left("production")
    with pytest.raises(errors.NotOurs):
        engine.workloads._think(WORKLOAD, deployment(), {}, None, (), None)


async def test_everything_is_forgotten_and_nothing_written(engine):
    heard = []
    for store in engine.world.stores:
        store.listen(lambda *news: heard.append(news))
    engine.handover.left("production")
    assert not heard, "its workloads would be without their object, and be reverted"
    assert not [key for store in engine.world.stores for key in store]
    for controller, key in ((engine.workloads, WORKLOAD), (engine.tracings, TRACING), (engine.status, TRACING)):
        assert await engine._ours(controller)(key) is None
    assert not engine.board.workloads(TRACING)
    assert not engine.board.surveyed("production", [WORKLOAD]), "should it come back, it is looked at anew"
    engine.world.deployments.put(deployment())
    assert not engine.workloads.memory.of(TRACING), (
        "what another operator has found out by then must not be hidden by it"
    )


async def test_what_was_under_way_puts_nothing_back(engine):
    engine.handover.left("production")
    other = Key("production", "other")
    for key in (WORKLOAD, other):  # as the answers to their patches arrive
        engine.world.deployments.put(deployment(name=key.name))
        engine.board.report(key, Verdict(Action.NOTHING, State.INJECTED, Reason.NO_SPANS_YET, tracing="default"))
    await engine._ours(engine.workloads)(WORKLOAD)
    assert engine.world.deployments.get(WORKLOAD) is None
    while not engine.workload_queue.idle():
        await engine._ours(engine.workloads)(engine.workload_queue._ready.take())
    assert not engine.board.workloads(TRACING), "dropped from the caches, so nothing else would have it forgotten"


async def test_nothing_is_sent_to_a_namespace_that_is_not_ours(engine):
    with pytest.raises(errors.NotOurs, match="not this operator's"):
        await engine.client.patch(GRPC_TRACINGS, "production", "default", {}, kind="x", subresource="status")
    with pytest.raises(errors.NotOurs):
        await engine.client.create(GRPC_TRACINGS, "production", {})
    assert not errors.NotOurs(0, "").is_refusal, "it is nothing that a user could mend"
