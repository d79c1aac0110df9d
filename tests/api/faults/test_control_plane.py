"""What the operator does while the API server is restarted, etcd is gone, or its own kind is. docs/faults.md is the table.

An API server of its own: others must not notice.
"""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING

import pytest

from grpctracing.kube import errors
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import GRPC_TRACINGS
from tests.api.asking import finalized, gone
from tests.api.running import CRDS, eventually, install_crd, without_server_fields
from tests.cluster import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.api

EXTERNAL = {"mode": "External", "external": {"endpoint": "http://collector.invalid:4317"}}
SPEC = {"collector": EXTERNAL, "rollout": {"maxConcurrent": 100}}


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane() as mine:
        yield mine


async def injected_once(place, stand, name):
    live = await eventually(lambda: place.injected(name), within=60)
    assert live["metadata"]["generation"] == 2
    await stand.well()


async def forgotten(place, name):
    return name not in await place.listed()


@pytest.mark.parametrize("component", ["apiserver", "etcd"])
async def test_a_control_plane_that_goes_and_comes_back_finds_all_as_it_was(
    place, rollouts_of, stand, told, control_plane, component
):
    name = f"before-{component}"
    async with rollouts_of(place):
        await place.workload(name)
        await injected_once(place, stand, name)
    was = await place.must("Deployment", name)
    await asyncio.to_thread(control_plane.halt, component)
    await eventually(lambda: not control_plane.ready(), within=60)
    await stand.well()
    await asyncio.to_thread(control_plane.resume, component)
    assert (await place.must("Deployment", name))["spec"] == was["spec"], "the last good state stays"
    async with rollouts_of(place):
        await place.workload(f"after-{component}")
        await injected_once(place, stand, f"after-{component}")
    await place.delete("Deployment", name)
    await eventually(lambda: forgotten(place, name), within=60)
    told.no_flood(60)


async def test_a_kind_that_is_not_served_for_a_while_changes_nothing(place, rollouts, stand, told):
    await place.workload("unserved")
    await injected_once(place, stand, "unserved")
    await serve(place, served=False)
    await eventually(lambda: told.lines("finalizers wait"), within=60)
    await place.change("Deployment", "unserved", {"metadata": {"labels": {"looked": "at"}}})
    await stand.well()
    assert await place.injected("unserved")
    await serve(place, served=True)
    await place.workload("served-again")
    await injected_once(place, stand, "served-again")
    await place.tracing("second", **SPEC)
    await eventually(lambda: finalized(place, "second"), within=60)
    await place.delete("GrpcTracing", "second")
    await eventually(lambda: gone(place, "GrpcTracing", "second"), within=60)
    assert (await place.must("Deployment", "unserved"))["metadata"]["generation"] == 2
    told.no_flood()


async def test_an_invalid_object_that_slipped_in_changes_nothing_and_is_named(place, rollouts, stand, told, crd):
    await place.workload("slipped")
    await injected_once(place, stand, "slipped")
    lax = copy.deepcopy(crd)
    for version in lax["spec"]["versions"]:
        version["schema"]["openAPIV3Schema"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    await install_crd(place.client, lax)
    valid = (await place.must("GrpcTracing", "default"))["spec"]
    await eventually(lambda: accepts(place, {"sampler": {"type": "nonsense"}, "unheardOf": 1}), within=60)
    await eventually(lambda: told.lines("left alone"), within=30)
    await place.change("Deployment", "slipped", {"metadata": {"labels": {"looked": "at"}}})
    found = await eventually(lambda: unreadable(place), within=30)
    assert "sampler" in found["message"]
    assert (await place.must("Deployment", "slipped"))["metadata"]["generation"] == 2
    await install_crd(place.client, crd)
    await place.change("GrpcTracing", "default", {"spec": {"sampler": valid.get("sampler"), "unheardOf": None}})
    await place.workload("readable-again")
    await injected_once(place, stand, "readable-again")
    told.no_flood()


async def test_a_kind_that_is_deleted_takes_everything_back_and_works_when_it_is_made_again(
    place, rollouts, stand, told, crd
):
    before = await place.workload("orphan")
    await injected_once(place, stand, "orphan")
    await place.client._json("DELETE", CRDS.path(None, crd["metadata"]["name"]))
    after = await eventually(lambda: place.clean("orphan"), within=60)
    assert without_server_fields(after) == without_server_fields(before)
    await eventually(lambda: not_served(place), within=60)
    await eventually(lambda: told.lines("finalizers wait"), within=60)
    await stand.well()
    await install_crd(place.client, crd)
    await place.tracing(**SPEC)
    live = await eventually(lambda: place.injected("orphan"), within=60)
    assert live["metadata"]["generation"] == 4, "in, out, in"
    await eventually(lambda: finalized(place), within=60)
    await place.delete("GrpcTracing", "default")
    await eventually(lambda: gone(place, "GrpcTracing", "default"), within=60)
    await stand.well()
    told.no_flood()


async def serve(place, *, served):
    name = "grpctracings.grpctracing.dev"
    crd = await place.client._json("GET", CRDS.path(None, name))
    versions = [version | {"served": served} for version in crd["spec"]["versions"]]
    body = {"spec": {"versions": versions}}
    await place.client._json("PATCH", CRDS.path(None, name), body=body, content_type=MERGE)

    async def done():
        return await not_served(place) is not served

    await eventually(done, within=30)


async def not_served(place):
    try:
        await place.client.list(GRPC_TRACINGS)
    except errors.NotFound:
        return True
    return False


async def accepts(place, spec):
    try:
        await place.change("GrpcTracing", "default", {"spec": spec})
    except errors.ApiError:
        return False
    return True


async def unreadable(place):
    found = (await place.conditions()).get("Ready", {})
    return found if "can't be read" in found.get("message", "") else None
