"""A GrpcTracing that this release can't read: it stops nothing but decisions that would be guesses."""

from __future__ import annotations

import pytest

from grpctracing.controllers.admission import Admission
from grpctracing.controllers.board import Board, Facts
from grpctracing.controllers.conditions import status
from grpctracing.controllers.tracing import TracingController
from grpctracing.controllers.world import Unreadable, World
from grpctracing.kube.resources import Key
from tests.unit.injection.builders import OPT_IN, deployment

KEY, SIBLING = Key("production", "default"), Key("production", "other")
STRANGE = {"sampler": {"type": "of-tomorrow"}, "env": [{"name": "OTEL_TOKEN", "value": ["s3cret"]}]}


def stored(name="default", spec=None, **metadata):
    known = {"name": name, "namespace": "production", "uid": f"uid-{name}", "resourceVersion": "1", "generation": 1}
    return {"metadata": known | metadata, "spec": spec or {}}


class Nothing:
    """Owned objects of nobody."""

    async def ensure(self, tracing):
        return Facts(True, ("Available", ""))

    async def remove(self, key):
        return True


@pytest.fixture
def world():
    return World()


@pytest.fixture
def controller(world):
    admission = Admission(None, world, cluster_wide=False)  # no policies, so no call
    return TracingController(
        world, Board(lambda _: None), Nothing(), admission, look=lambda _: None, remembered=lambda _: {}
    )


async def test_it_can_be_deleted(world, controller):
    world.tracings.put(stored(spec=STRANGE, deletionTimestamp="2026-11-24T12:00:00Z"))
    world.deployments.put(deployment(annotations=OPT_IN))
    assert await controller.reconcile(KEY) is None
    assert controller._leaving["uid-default"].is_set()


async def test_it_says_so_itself_and_so_does_its_sibling(world, controller):
    world.tracings.put(stored(spec=STRANGE))
    world.tracings.put(stored("other"))
    await controller.reconcile(KEY)
    await controller.reconcile(SIBLING)
    for key in (KEY, SIBLING):
        reason, message = controller.board.facts[key].trouble
        assert (reason, "production/default" in message) == ("Unreadable", True)


async def test_a_sibling_that_is_deleted_waits_and_says_for_what(world, controller):
    world.tracings.put(stored(spec=STRANGE))
    world.tracings.put(stored("other", deletionTimestamp="2026-11-24T12:00:00Z"))
    world.deployments.put(deployment(annotations=OPT_IN))
    assert await controller.reconcile(SIBLING)
    assert "production/default" in controller.board.facts[SIBLING].trouble[1]


def test_values_are_not_quoted(world):
    world.tracings.put(stored(spec=STRANGE))
    with pytest.raises(Unreadable, match=r"spec\.sampler\.type") as caught:
        world.tracing(KEY)
    assert "s3cret" not in str(caught.value)


def test_a_status_of_tomorrow_is_no_hindrance(world):
    world.tracings.put(stored() | {"status": {"workloads": [{"name": "a", "state": "OfTomorrow"}]}})
    assert world.tracing(KEY).metadata.name == "default"


def test_what_was_said_of_workloads_stands():
    before = {"counts": {"matched": 3}, "workloads": [{"name": "a", "state": "Instrumented"}]}
    now = status(stored() | {"status": before}, Facts(trouble=("Unreadable", "…")), {}, "2026-11-24T12:00:00Z")
    assert {name: now[name] for name in before} == before
