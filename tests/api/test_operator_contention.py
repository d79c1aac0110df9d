"""Others write too: to our objects, under our names, over our patch."""

from __future__ import annotations

import asyncio
import copy

import pytest

from tests.api.asking import condition, finalized, gone, has, reason, settled_enough
from tests.api.running import env_of, eventually, running, settled, version

pytestmark = pytest.mark.api


@pytest.mark.parametrize(
    "tampering",
    [
        {"data": {"sitecustomize.py": "import os"}},
        {"data": {"json.py": "print('gotcha')"}},
        {"data": {"settings.json": None}},
        {"metadata": {"labels": {"grpctracing.dev/tracing": "another"}}},
    ],
    ids=["changed file", "added file", "removed file", "changed label"],
)
async def test_a_tampered_bootstrap_is_restored_at_once(place, rollouts, tampering):
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: has(place, "ConfigMap", {"grpctracing-default-bootstrap"}))
        await settled(engine)
        original = await place.must("ConfigMap", "grpctracing-default-bootstrap")
        await place.change("ConfigMap", "grpctracing-default-bootstrap", tampering)
        await eventually(lambda: same_content(place, original), within=5)


async def same_content(place, original):
    live = await place.get("ConfigMap", "grpctracing-default-bootstrap")  # with a wrong owner it is made anew
    if live is None:
        return False
    return live["data"] == original["data"] and live["metadata"]["labels"] == original["metadata"]["labels"]


async def test_a_deleted_bootstrap_comes_back(place, rollouts):
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: has(place, "ConfigMap", {"grpctracing-default-bootstrap"}))
        await settled(engine)
        await place.delete("ConfigMap", "grpctracing-default-bootstrap")
        await eventually(lambda: has(place, "ConfigMap", {"grpctracing-default-bootstrap"}), within=5)


async def test_a_name_that_is_somebody_elses_is_never_touched(place, rollouts):
    theirs = await place.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "otel-collector"},
            "spec": {"selector": {"app": "mine"}, "ports": [{"port": 4317}]},
        }
    )
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        found = await eventually(lambda: condition(place, "CollectorReady", "False"))
        await eventually(lambda: reason(place, "CollectorReady", "NameTaken"))
        await settled(engine)
        found = (await place.conditions())["CollectorReady"]
        assert 'Service "otel-collector"' in found["message"]
        live = await place.must("Service", "otel-collector")
        assert live["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place, "GrpcTracing", "default"))
    assert await place.get("Service", "otel-collector") is not None


async def test_a_fight_is_given_up(place, rollouts):
    original = await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        for _ in range(4):
            live = await eventually(place.injected)
            await replace(place, live, original)
        await eventually(lambda: contested(place))
        await settled(engine)
        before = version(await place.must("Deployment", "payment-service"))
        await settled(engine, 2.0)
        live = await place.must("Deployment", "payment-service")
        assert version(live) == before
        assert await place.clean()
    assert (await place.conditions())["Degraded"]["reason"] == "Contested"


async def replace(place, live, original):
    """What `kubectl replace` and a self-healing GitOps tool do."""
    template = copy.deepcopy(original["spec"]["template"])
    template["spec"].setdefault("volumes", None)
    after = await place.change("Deployment", "payment-service", {"spec": {"template": template}})
    assert version(after)[1] == version(live)[1] + 1


async def contested(place):
    found = (await place.listed()).get("payment-service", {})
    return found if found.get("reason") == "Contested" else None


async def test_a_second_object_stands_back_and_takes_over(place, rollouts):
    await place.workload()
    await place.tracing("first")
    await asyncio.sleep(1.1)  # creation times have whole seconds
    await place.tracing("second", sampler={"type": "always_on"})
    async with running(place.client, place.namespace):
        live = await eventually(place.injected)
        assert env_of(live)["OTEL_TRACES_SAMPLER"] == "parentbased_traceidratio"
        entry = await eventually(lambda: standing_back(place))
        assert '"first"' in entry["message"]
        await eventually(lambda: reason(place, "CollectorReady", "NameTaken", "second"))
        await place.delete("GrpcTracing", "first")
        await eventually(lambda: gone(place, "GrpcTracing", "first"))
        await eventually(lambda: mounts(place, "grpctracing-second-bootstrap"))
        await eventually(lambda: condition(place, "CollectorReady", "True", "second"))


async def standing_back(place):
    found = (await place.listed("second")).get("payment-service")
    return found if found and found["state"] == "Skipped" else None


async def mounts(place, config_map):
    live = await place.must("Deployment", "payment-service")
    volumes = live["spec"]["template"]["spec"].get("volumes", [])
    return [volume["configMap"]["name"] for volume in volumes] == [config_map]


async def test_where_the_bootstraps_name_is_taken_nothing_is_injected(place, rollouts):
    before = await place.workload()
    name = "grpctracing-default-bootstrap"
    theirs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"sitecustomize.py": "evil()"},
    }
    await place.create(theirs)
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: reason(place, "Ready", "NameTaken"))
        await settled_enough(engine)
        live = await place.must("Deployment", "payment-service")
        assert live["metadata"]["generation"] == before["metadata"]["generation"], (
            "pods would load code that is not ours"
        )
        await place.delete("ConfigMap", name)
        await place.annotate("payment-service", "true")
        await eventually(place.injected, within=30)


async def test_a_copy_of_what_we_own_that_a_user_keeps_outlives_the_object(place, rollouts):
    labels = {"app.kubernetes.io/managed-by": "grpctracing", "grpctracing.dev/tracing": "default"}
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "labels": labels}}
    await place.create(mine)
    await place.tracing()
    async with running(place.client, place.namespace):
        await eventually(lambda: finalized(place))
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place, "GrpcTracing", "default"))
    assert await place.get("ConfigMap", "mine")
