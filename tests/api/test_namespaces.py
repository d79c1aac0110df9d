"""Namespaces that are deleted, with a controller-manager that deletes: with the operator, without it, and the ways out."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from grpctracing.cli import uninstall
from grpctracing.kube import errors
from grpctracing.settings import Settings
from tests.api.asking import finalized
from tests.api.running import NAMESPACES, Place, connected, eventually, install_crd, new_namespace, running
from tests.cluster import ControlPlane, tool

pytestmark = pytest.mark.api

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEFORE = 60
"""Seconds: the namespace controller looks again after eight, and a busy machine has others to run."""


@pytest.fixture
def plane():
    with ControlPlane(controller_manager=True) as plane:
        yield plane


@pytest.fixture
async def places(plane, crd):
    async with connected(plane.kubeconfig) as client:
        await install_crd(client, crd)
        yield [Place(client, await new_namespace(client)) for _ in range(4)]


async def test_a_namespace_deleted_while_the_operator_is_down_is_let_go_in_three_ways(plane, places, monkeypatch):
    monkeypatch.setattr(uninstall, "PAUSE", 0.1)
    while_up, back, command, by_hand = places
    async with running(while_up.client, *(place.namespace for place in places)):
        for place in places:
            await place.workload()
            await place.tracing()
        for place in places:
            await eventually(place.injected)
            await eventually(lambda place=place: finalized(place))
        await delete(while_up)
        await eventually(lambda: gone(while_up), BEFORE)

    for place in (back, command, by_hand):
        await delete(place)
    for place in (back, command, by_hand):
        await eventually(lambda place=place: hangs(place), BEFORE)

    async with running(back.client, back.namespace):
        settings = Settings.from_env({"GRPCTRACING_OPERATOR_DEPLOYMENT": "nowhere/operator"})
        environ = {"KUBECONFIG": str(plane.kubeconfig)}
        assert await uninstall.uninstall(settings.only([command.namespace]), environ) == 0
        await run(documented(by_hand.namespace), plane)
        for place in (back, command, by_hand):
            await eventually(lambda place=place: gone(place), BEFORE)


def documented(namespace):
    """The line that the page gives."""
    (line,) = re.findall(r"^ +(kubectl get gtr .*finalizers.*)$", PAGE.read_text(), re.MULTILINE)
    return line.replace("NAMESPACE", namespace)


async def run(line, plane):
    environment = os.environ | {
        "KUBECONFIG": str(plane.kubeconfig),
        "PATH": f"{tool('kubectl').parent}:{os.environ['PATH']}",
    }
    process = await asyncio.create_subprocess_shell(line, env=environment)
    assert await process.wait() == 0


async def delete(place):
    await place.client._json("DELETE", NAMESPACES.path(None, place.namespace))


async def hangs(place):
    live = await place.client.get(NAMESPACES, "", place.namespace)
    told = {item["type"]: item for item in live["status"].get("conditions", ())}
    return "grpctracing.dev/revert" in told.get("NamespaceFinalizersRemaining", {}).get("message", "")


async def gone(place):
    try:
        await place.client.get(NAMESPACES, "", place.namespace)
    except errors.NotFound:
        return True
    return False
