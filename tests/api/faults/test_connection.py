"""What the operator does while the way to the API server, or the API server itself, misbehaves. docs/faults.md is the table."""

from __future__ import annotations

import itertools
import json

import pytest

from tests.api.asking import finalized, gone
from tests.api.faults.proxy import Fault
from tests.api.faults.stand import Stand
from tests.api.running import eventually

pytestmark = pytest.mark.api

DEPLOYMENTS = r"deployments\?.*watch=true"
TRACINGS = r"grpctracings\?.*watch=true"


def watch_error(code):
    status = {"kind": "Status", "status": "Failure", "code": code, "message": "by the fault proxy"}
    return json.dumps({"type": "ERROR", "object": status}).encode()


def is_patch_of(name):
    return rf"^PATCH .*/deployments/{name}\?"


async def injected_once(place, stand, name):
    live = await eventually(lambda: place.injected(name), within=45)
    assert live["metadata"]["generation"] == 2
    await stand.patched_once(name)
    await stand.well()


def of_deployments(lines):
    return [line for line in lines if line["kind"] == "Deployment"]


def refused_so_far(stand):
    return sum(each.status == 401 for each in stand.proxy.log)


async def known(place, name):
    return name in await place.listed()


async def forgotten(place, name):
    return name not in await place.listed()


async def test_a_watch_that_is_cut_in_the_middle_of_an_event_loses_nothing(place, rollouts, stand, told):
    await place.workload("cut-leaves")
    await eventually(lambda: known(place, "cut-leaves"), within=30)
    with stand.proxy.fault(Fault(DEPLOYMENTS, cut_after=100, times=2)) as (fault,):
        stand.proxy.cut(DEPLOYMENTS)
        await place.delete("Deployment", "cut-leaves")
        await place.workload("cut")
        await eventually(lambda: fault.hits == 2, within=30)
    await injected_once(place, stand, "cut")
    await eventually(lambda: of_deployments(told.lines("watch works again")), within=60)
    (line, *_) = of_deployments(told.lines("watch failed"))
    assert line["error"]
    assert line["note"] == "what was last seen stays in force; tries again until it works"
    await eventually(lambda: forgotten(place, "cut-leaves"), within=30)
    assert not told.asked("deployments?limit"), "after a cut nothing is listed again"
    told.no_flood()


async def test_a_410_on_the_list_and_on_the_watch_is_a_new_list_not_a_loop(place, rollouts, stand, told):
    await place.workload("expired-leaves")
    await eventually(lambda: known(place, "expired-leaves"), within=30)
    faults = (
        Fault(DEPLOYMENTS, event=watch_error(410), times=2),
        Fault(r"GET .*deployments\?limit", 410, "the provided continue parameter is too old", times=1),
    )
    with stand.proxy.fault(*faults) as (watch, listing):
        stand.proxy.cut(DEPLOYMENTS)
        await place.delete("Deployment", "expired-leaves")
        await place.workload("expired")
        await eventually(lambda: watch.hits == 2 and listing.hits == 1, within=30)
    await injected_once(place, stand, "expired")
    await eventually(lambda: forgotten(place, "expired-leaves"), within=30)
    assert told.asked("deployments?limit") <= 5
    told.no_flood()


async def test_a_watch_error_that_kopf_gives_up_on_leaves_the_operator_running(place, rollouts, stand, told):
    await eventually(lambda: finalized(place), within=30)
    with stand.proxy.fault(Fault(TRACINGS, event=watch_error(500))):
        stand.proxy.cut(TRACINGS)
        (line, *_) = await eventually(lambda: told.lines("finalizers wait"), within=45)
    assert "by the fault proxy" in line["error"]
    await place.tracing("second", collector={"mode": "External", "external": {"endpoint": "http://c:4317"}})
    await eventually(lambda: finalized(place, "second"), within=30)
    await place.delete("GrpcTracing", "second")
    await eventually(lambda: gone(place, "GrpcTracing", "second"), within=30)
    await stand.well()
    told.no_flood()


async def test_a_storm_of_conflicts_ends_in_one_patch(place, rollouts, stand, told):
    with stand.proxy.fault(Fault(is_patch_of("stormy"), 409, "the object has been modified", times=5)) as (fault,):
        await place.workload("stormy")
        await injected_once(place, stand, "stormy")
    assert fault.hits == 5
    told.no_flood()


async def test_retry_after_is_obeyed(place, rollouts, stand, told):
    fault = Fault(is_patch_of("later"), 429, "too many requests", headers={"Retry-After": "2"}, times=2)
    with stand.proxy.fault(fault):
        await place.workload("later")
        await injected_once(place, stand, "later")
    times = [each.at for each in stand.proxy.log if "/deployments/later?" in each.what and each.what[:5] == "PATCH"]
    assert all(later - earlier >= 2 for earlier, later in itertools.pairwise(times[:3]))
    told.no_flood()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("unavailable", Fault("", 503, "etcdserver: no leader")),
        ("broken", Fault("", 500, "internal error")),
        ("html", Fault("", 200, text="<html>a login page</html>\n")),
        ("dropped", Fault("", drop=True)),
    ],
)
async def test_a_server_that_answers_nothing_useful_is_waited_for(place, rollouts, stand, told, name, fault):
    with stand.proxy.fault(fault):
        stand.proxy.cut()
        await place.workload(name)
        await eventually(lambda: fault.hits >= 20, within=60)
        assert fault.hits <= 100, "asked again with growing pauses"
        await stand.well()
        assert not stand.patches(name)
    await injected_once(place, stand, name)
    await eventually(lambda: of_deployments(told.lines("watch works again")), within=60)
    told.no_flood()


async def test_a_slow_server_costs_time_alone(place, rollouts, stand, told):
    with stand.proxy.fault(Fault("", delay=0.7)):
        stand.proxy.cut()
        await place.workload("slow")
        await injected_once(place, stand, "slow")
    told.no_flood()


async def test_a_patch_whose_answer_is_lost_is_not_sent_twice(place, rollouts, stand, told):
    with stand.proxy.fault(Fault(is_patch_of("lost"), cut_after=0, times=1)) as (fault,):
        await place.workload("lost")
        await eventually(lambda: fault.hits, within=30)
        await injected_once(place, stand, "lost")
    told.no_flood()


async def test_an_expired_token_is_read_again_from_its_file(place, rollouts, stand, told):
    stand.proxy.accepted = "two"
    try:
        stand.proxy.cut()
        await place.workload("rotated")
        await eventually(lambda: refused_so_far(stand) >= 20, within=60)
        assert refused_so_far(stand) <= 100, "not asked again at once, for ever"
        await stand.well()
        stand.token.write_text("two")
        await injected_once(place, stand, "rotated")
    finally:
        stand.proxy.accepted = None
    told.no_flood()


async def test_a_leader_that_cannot_renew_ends_and_its_next_start_heals(
    place, rollouts, stand, control_plane, tmp_path
):
    second = Stand(stand.proxy, stand.namespace, tmp_path)
    lease = {"GRPCTRACING_LEASE": f"{place.namespace}/operator", "GRPCTRACING_LEASE_SECONDS": "4"}
    with second.started(control_plane, **lease):
        await eventually(lambda: second.lines("leading"), within=60)
        with stand.proxy.fault(Fault("/leases", 503, "etcdserver: no leader")):
            await eventually(lambda: second.process.poll() is not None, within=60)
    assert second.process.returncode == 1
    assert [line["why"] for line in second.lines("lost the lease")]
    with second.started(control_plane, **lease):
        await eventually(lambda: len(second.lines("leading")) == 2, within=60)
