"""One operator behind one fault proxy for the tests of a file, in a namespace of theirs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest

from tests.api.apiserver import eventually, serving
from tests.api.faults.proxy import Proxy
from tests.api.faults.stand import Stand, Told
from tests.api.process import ask_now
from tests.api.running import Client, Place, Rollouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from tests.cluster import ControlPlane

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stand(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """An operator that has looked at everything once."""
    server = serving(control_plane)
    namespace = f"faults-{next(numbers)}"
    server.ok("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    tracing = {
        "apiVersion": "grpctracing.dev/v1alpha1",
        "kind": "GrpcTracing",
        "metadata": {"name": "default"},
        "spec": {
            "selector": {},
            "preflight": "Never",
            "rollout": {"maxConcurrent": 100},
            "collector": {"mode": "External", "external": {"endpoint": "http://collector.invalid:4317"}},
        },
    }
    server.ok("POST", f"/apis/grpctracing.dev/v1alpha1/namespaces/{namespace}/grpctracings", tracing)
    proxy = Proxy(lambda: control_plane.url, control_plane.token, str(control_plane.ca_file))
    with proxy, Stand(proxy, namespace, tmp_path_factory.mktemp("stand")).started(control_plane) as stand:
        eventually(lambda: ask_now(stand.port, "/readyz") == 200, stand.output.read_text, within=80)
        eventually(lambda: stand.lines("applied"), stand.output.read_text, within=60)
        yield stand


@pytest.fixture
def place(client: Client, stand: Stand) -> Place:
    """The namespace that the operator watches, as an administrator beside the proxy."""
    return Place(client, stand.namespace)


@pytest.fixture
def told(stand: Stand) -> Told:
    """What has been logged and asked since the test began."""
    return Told.now(stand)


@pytest.fixture
def rollouts_of() -> Callable[[Place], AbstractAsyncContextManager[Rollouts]]:
    """What completes the rollouts of any namespace."""

    @contextlib.asynccontextmanager
    async def run(place: Place) -> AsyncIterator[Rollouts]:
        rollouts = Rollouts(place.client, place.namespace)
        task = asyncio.create_task(rollouts.run())
        yield rollouts
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return run
