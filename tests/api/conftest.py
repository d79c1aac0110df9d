"""One API server for all tests of this folder; what the operator's tests have in common."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grpctracing.kube.apply import OWNED_SELECTOR
from grpctracing.kube.resources import LEASES
from tests.api import running
from tests.api.kubelet import Kubelet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from grpctracing.kube.client import Client
    from tests.cluster import ControlPlane

CRD = Path(__file__).parents[2] / "crds" / "grpctracing.dev_grpctracings.yaml"


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    from tests.cluster import ControlPlane

    with ControlPlane() as cp:
        yield cp


@pytest.fixture(scope="session")
def crd() -> dict[str, Any]:
    return yaml.safe_load(CRD.read_text("utf-8"))


@pytest.fixture
async def client(control_plane: ControlPlane, crd: dict[str, Any]) -> AsyncIterator[Client]:
    """An administrator, with GrpcTracing served."""
    async with running.connected(control_plane.kubeconfig) as client:
        await running.install_crd(client, crd)
        yield client


@pytest.fixture
async def place(client: Client) -> AsyncIterator[running.Place]:
    """A fresh namespace; what operators claimed there is theirs no more when the test is over, or it would be in others' way."""
    place = running.Place(client, await running.new_namespace(client))
    yield place
    for lease in await client.list(LEASES, place.namespace, selector=OWNED_SELECTOR):
        await client.delete(LEASES, lease)


@pytest.fixture
async def rollouts(place: running.Place) -> AsyncIterator[running.Rollouts]:
    """What completes the rollouts of the namespace."""
    rollouts = running.Rollouts(place.client, place.namespace)
    task = asyncio.create_task(rollouts.run())
    yield rollouts
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def kubelet(place: running.Place) -> AsyncIterator[Kubelet]:
    """What answers for the preflight pods of the namespace."""
    kubelet = Kubelet(place.client, place.namespace)
    task = asyncio.create_task(kubelet.run())
    yield kubelet
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
