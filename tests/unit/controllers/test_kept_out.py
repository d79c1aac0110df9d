"""Whose images a policy leaves alone: those of all that is remembered to have failed, written or not, while it is there."""

from __future__ import annotations

import pytest

from grpctracing.api import Reverted
from grpctracing.controllers import payload
from grpctracing.controllers.board import Board, Facts
from grpctracing.controllers.memory import Memory
from grpctracing.controllers.tracing import TracingController
from grpctracing.controllers.world import World
from grpctracing.injection.digests import image_digest
from grpctracing.injection.failed import Failed
from grpctracing.kube import errors
from grpctracing.kube.resources import Key
from tests.unit.injection.builders import container, deployment, tracing

TRACING = Key("production", "default")
WORKLOAD, TWIN = deployment(), deployment("twin")
FAILED = Reverted(name="payment-service", injection="abc", image=image_digest(WORKLOAD, payload.digest({})))


class Server:
    """Takes no status while *down*."""

    down = False

    def __init__(self, world):
        self.world = world

    async def patch(self, _resource, namespace, name, body, **_):
        if self.down:
            raise errors.Forbidden(403, "a webhook says no")
        before = self.world.tracings.get(Key(namespace, name))
        version = str(int(before["metadata"]["resourceVersion"]) + 1)
        return {**before, "metadata": {**before["metadata"], "resourceVersion": version}, "status": body["status"]}


class Owned:
    """What a GrpcTracing owns is there."""

    payload = {}  # noqa: RUF012 - nobody writes it

    async def ensure(self, _tracing):
        return Facts(True, ("Available", ""))


class Policies:
    """Keeps what was *failed* when the policy was last looked at."""

    failed = None

    async def ensure(self, _tracing, _living, facts, failed):
        self.failed = failed
        return facts

    def settling(self, _key):
        return None


@pytest.fixture
def world():
    world = World()
    asked = tracing(spec={"selector": {}, "rollout": {"strategy": "Admission"}}, resourceVersion="1")
    world.tracings.put(asked.model_dump(by_alias=True, mode="json", exclude_none=True))
    world.deployments.put(WORKLOAD)
    world.deployments.put(TWIN)
    return world


@pytest.fixture
def memory(world):
    return Memory(Server(world), world)


@pytest.fixture
def kept_out(world, memory):
    """What the policy leaves alone when its GrpcTracing has been looked at."""
    policies = Policies()
    controller = TracingController(
        world, Board(lambda _: None), Owned(), policies, look=lambda _: None, remembered=memory.of
    )

    async def look():
        await controller.reconcile(TRACING)
        return policies.failed

    return look


@pytest.mark.parametrize("down", [False, True], ids=["written", "not written yet"])
async def test_the_images_of_a_failure_that_is_remembered(memory, kept_out, down):
    assert await kept_out() == ()
    memory.client.down = down
    await memory.remember(TRACING, FAILED)
    assert await kept_out() == (Failed(("shop/app:1",), ""),)


async def test_none_of_a_workload_that_is_gone_although_another_one_has_the_same(world, memory, kept_out):
    await memory.remember(TRACING, FAILED)
    world.deployments.remove(Key("production", "payment-service"))
    assert await kept_out() == ()


async def test_none_of_a_failure_with_images_that_nobody_has_any_more(world, memory, kept_out):
    await memory.remember(TRACING, FAILED)
    for name in ("payment-service", "twin"):
        newer = deployment(name, containers=[container(image="shop/app:2")])
        newer["metadata"]["resourceVersion"] = "2"
        world.deployments.put(newer)
    assert await kept_out() == ()
