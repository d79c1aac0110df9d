"""StatefulSets and DaemonSets against a real API server: the same engine, and no workload mistaken for another."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from grpctracing.cli import target
from grpctracing.cli import uninstall as module
from grpctracing.cli.explain import explain
from grpctracing.settings import Settings
from tests.api.running import eventually, running, settled, version
from tests.api.sets import Sets, daemon_set, stateful_set

pytestmark = pytest.mark.api

ALL = ["Deployment", "StatefulSet", "DaemonSet"]
SETS = ["StatefulSet", "DaemonSet"]


@pytest.fixture
async def sets(place):
    sets = Sets(place.client, place.namespace)
    task = asyncio.create_task(sets.run())
    yield sets
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def entries(place):
    """The status by (kind, name)."""
    obj = await place.must("GrpcTracing", "default")
    return {(entry["kind"], entry["name"]): entry for entry in obj.get("status", {}).get("workloads", ())}


async def reasons(place):
    return {key: entry["reason"] for key, entry in (await entries(place)).items()}


async def carrying(place, name="shop"):
    """The kinds of that name that carry the injection."""
    lives = {kind: await place.must(kind, name) for kind in ALL}
    return {kind for kind, live in lives.items() if "grpctracing" in str(live["spec"]).lower()}


def attributes(live):
    (container,) = live["spec"]["template"]["spec"]["containers"]
    text = next(entry["value"] for entry in container["env"] if entry["name"] == "OTEL_RESOURCE_ATTRIBUTES")
    return dict(pair.split("=", 1) for pair in text.split(","))


async def three_of_a_name(place, name="shop"):
    made = [await place.workload(name), await place.create(stateful_set(name)), await place.create(daemon_set(name))]
    return {obj["kind"]: obj["spec"] for obj in made}


async def test_three_kinds_that_share_a_name_are_injected_and_taken_back_one_by_one(place, rollouts, sets):
    before = await three_of_a_name(place)
    await place.tracing(kinds=ALL)
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: all_are(place, "Unverified", ALL), within=30)
        lives = {kind: await place.must(kind, "shop") for kind in ALL}
        for kind, live in lives.items():
            others = {f"k8s.{other.lower()}.name" for other in ALL if other != kind}
            assert attributes(live)[f"k8s.{kind.lower()}.name"] == "shop"
            assert not others & attributes(live).keys()
        assert {live["metadata"]["generation"] for live in lives.values()} == {2}, "one patch each"

        no = {"metadata": {"annotations": {"grpctracing.dev/inject": "false"}}}
        await place.change("StatefulSet", "shop", no)
        await eventually(lambda: only(place, {"Deployment", "DaemonSet"}), within=30)
        await eventually(lambda: reason_is(place, "StatefulSet", "OptedOut"))
        await settled(engine)
        assert (await place.must("StatefulSet", "shop"))["spec"] == before["StatefulSet"]
        assert version(await place.must("DaemonSet", "shop"))[1] == 2
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place), within=30)
    for kind, spec in before.items():
        assert (await place.must(kind, "shop"))["spec"] == spec, kind


async def all_are(place, reason, kinds, name="shop"):
    return await reasons(place) == {(kind, name): reason for kind in kinds}


async def reason_is(place, kind, reason, name="shop"):
    return (await reasons(place)).get((kind, name)) == reason


async def only(place, kinds):
    return await carrying(place) == kinds


async def gone(place):
    return await place.get("GrpcTracing", "default") is None


async def test_a_selector_is_for_deployments_and_an_annotation_for_whatever_carries_it(place, rollouts, sets):
    await three_of_a_name(place)
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: all_are(place, "Unverified", ["Deployment"]), within=30)
        await settled(engine)
        assert await carrying(place) == {"Deployment"}
        await place.change("DaemonSet", "shop", {"metadata": {"annotations": {"grpctracing.dev/inject": "true"}}})
        await eventually(lambda: only(place, {"Deployment", "DaemonSet"}), within=30)
        await place.change("GrpcTracing", "default", {"spec": {"kinds": ALL}})
        await eventually(lambda: only(place, set(ALL)), within=30)


async def test_pods_that_wait_for_their_user_are_no_trouble(place, sets):
    await place.create(stateful_set("by-hand", updateStrategy={"type": "OnDelete"}))
    canary = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    await place.create(stateful_set("canary", updateStrategy=canary))
    await place.create(daemon_set("agent", updateStrategy={"type": "OnDelete"}))
    await eventually(lambda: len(sets.first) == 3)
    await place.tracing(kinds=SETS)
    want = {("StatefulSet", "by-hand"), ("StatefulSet", "canary"), ("DaemonSet", "agent")}
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: held(place, want), within=30)
        await settled(engine)
        told = await entries(place)
        assert (await place.conditions())["Degraded"]["status"] == "False"
    assert "3 of 3 pods are still of the template before" in told["StatefulSet", "by-hand"]["message"]
    assert "2 of 3 pods are still of the template before" in told["StatefulSet", "canary"]["message"]
    assert "(`kubectl delete pod`)" in told["DaemonSet", "agent"]["message"]


async def held(place, want):
    return await reasons(place) == dict.fromkeys(want, "HeldBack")


async def test_uninstall_reverts_all_kinds(place, rollouts, sets, control_plane, monkeypatch, capsys):
    monkeypatch.setattr(module, "PAUSE", 0.1)
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    monkeypatch.setenv("GRPCTRACING_WATCH_NAMESPACES", place.namespace)
    before = await three_of_a_name(place)
    await place.tracing(kinds=ALL)
    async with running(place.client, place.namespace):
        await eventually(lambda: only(place, set(ALL)), within=30)
    assert await module.uninstall(Settings.from_env(os.environ), os.environ) == 0
    for kind, spec in before.items():
        assert (await place.must(kind, "shop"))["spec"] == spec, kind
    report = capsys.readouterr().out
    assert f"reverted  StatefulSet/{place.namespace}/shop" in report
    assert "3 reverted" in report


async def test_explain_tells_of_each_kind(place, sets, control_plane, monkeypatch, capsys):
    environ = {"KUBECONFIG": str(control_plane.kubeconfig)}
    await place.create(stateful_set("db"))
    await place.tracing(kinds=SETS)

    async def told(what):
        assert await explain(Settings(), environ, target(what)) == 0
        return capsys.readouterr().out

    text = await told(f"statefulset/{place.namespace}/db")
    assert "Action      inject" in text
    assert "k8s.statefulset.name=db" in text
    text = await told(f"CronJob/{place.namespace}/nightly")
    assert "Skipped (KindNotPatched)" in text
    assert "spec.rollout.strategy Admission" in text


async def test_a_failing_stateful_set_goes_back_with_the_pod_it_would_wait_for(place, sets):
    sets.broken.add("StatefulSet/db")
    before = await place.create(stateful_set("db"))
    await place.tracing(kinds=ALL)
    async with running(place.client, place.namespace):
        await eventually(lambda: reason_is(place, "StatefulSet", "Reverted", "db"), within=30)
        await eventually(lambda: whole_again(place), within=30)
        await eventually(lambda: healthy_without(place), within=30)
    assert (await place.must("StatefulSet", "db"))["spec"] == before["spec"]
    (record,) = (await place.must("GrpcTracing", "default"))["status"]["reverted"]
    assert (record["kind"], record["name"]) == ("StatefulSet", "db")
    assert "exit code 3" in record["evidence"]


async def whole_again(place):
    live = await place.must("StatefulSet", "db")
    return await place.get("Pod", "db-2") is None and live["status"]["availableReplicas"] == 3


async def healthy_without(place):
    return "It is healthy without it." in (await entries(place))["StatefulSet", "db"]["message"]


async def test_under_on_delete_the_broken_pod_is_its_users_to_delete(place, sets):
    sets.broken.add("StatefulSet/db")
    await place.create(stateful_set("db", updateStrategy={"type": "OnDelete"}))
    await place.tracing(kinds=ALL)
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: told_to_delete(place), within=30)
        assert await place.get("Pod", "db-2"), "it is not ours to delete"
        await place.delete("Pod", "db-2")
        await eventually(lambda: healthy_without(place), within=30)
        await settled(engine)


async def told_to_delete(place):
    entry = (await entries(place)).get(("StatefulSet", "db"), {})
    return entry.get("reason") == "Reverted" and "`kubectl delete pod db-2`" in entry["message"]


async def test_uninstall_does_not_leave_a_stateful_set_behind_that_waits(
    place, sets, control_plane, monkeypatch, capsys
):
    monkeypatch.setattr(module, "PAUSE", 0.1)
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    monkeypatch.setenv("GRPCTRACING_WATCH_NAMESPACES", place.namespace)
    sets.broken.add("StatefulSet/db")
    before = await place.create(stateful_set("db"))
    await place.tracing(kinds=ALL)
    async with running(place.client, place.namespace) as engine:
        engine.workloads.clock = lambda: 0.0  # the guard would go back by itself
        await eventually(lambda: place.get("Pod", "db-2"))
    assert await module.uninstall(Settings.from_env(os.environ), os.environ) == 0
    assert (await place.must("StatefulSet", "db"))["spec"] == before["spec"]
    assert await place.get("Pod", "db-2") is None
    assert "Pod db-2, which broke with the injection" in capsys.readouterr().out
