"""The operator against a real API server: what a user sees, from the first patch to the last trace of us gone."""

from __future__ import annotations

import asyncio
import json

import pytest

from grpctracing.cli.explain import explain
from grpctracing.kube.resources import DEPLOYMENTS
from tests.api.asking import condition, finalized, gone, has, settled_enough
from tests.api.running import SETTINGS, env_of, eventually, running, settled, without_server_fields

pytestmark = pytest.mark.api

OWNED = {
    "ConfigMap": {"grpctracing-default-bootstrap", "otel-collector"},
    "Service": {"otel-collector"},
    "ServiceAccount": {"otel-collector"},
}


async def test_a_selected_deployment_is_patched_once(place, rollouts):
    before = await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        live = await eventually(place.injected)
        await settled(engine)
    assert live["metadata"]["generation"] == before["metadata"]["generation"] + 1
    env = env_of(live)
    assert env["OTEL_SERVICE_NAME"] == "payment-service"
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://otel-collector:4317"
    assert (env["OTEL_TRACES_SAMPLER"], env["OTEL_TRACES_SAMPLER_ARG"]) == ("parentbased_traceidratio", "0.1")
    assert (await place.must("Deployment", "payment-service"))["metadata"]["generation"] == live["metadata"][
        "generation"
    ]


async def test_the_object_owns_a_collector_and_the_bootstrap(place, rollouts):
    tracing = await place.tracing()
    async with running(place.client, place.namespace):
        for kind, names in OWNED.items():
            await eventually(lambda kind=kind, names=names: has(place, kind, names))
        await eventually(lambda: has(place, "Deployment", {"otel-collector"}))
    config_map = await place.must("ConfigMap", "grpctracing-default-bootstrap")
    assert config_map["metadata"]["ownerReferences"][0]["uid"] == tracing["metadata"]["uid"]
    assert {"sitecustomize.py", "_grpctracing.hook.py", "settings.json"} <= config_map["data"].keys()


async def test_opting_out_gives_back_the_very_same_spec(place, rollouts):
    before = await place.workload(env={"LOG_LEVEL": "info", "OTEL_TRACES_SAMPLER_ARG": "0.5"})
    await place.tracing()
    async with running(place.client, place.namespace):
        live = await eventually(place.injected)
        assert env_of(live)["OTEL_TRACES_SAMPLER_ARG"] == "0.5", "the user's own value stays"
        await place.annotate("payment-service", "false")
        after = await eventually(place.clean)
    assert without_server_fields(after) == without_server_fields(before)
    assert "grpctracing" not in {entry["manager"] for entry in after["metadata"]["managedFields"]}


async def test_deleting_the_object_reverts_all_and_leaves_nothing(place, rollouts):
    before = {name: await place.workload(name) for name in ("payment-service", "order-service", "cart")}
    await place.tracing()
    async with running(place.client, place.namespace):
        for name in before:
            await eventually(lambda name=name: place.injected(name))
        live = await eventually(lambda: finalized(place))
        assert live["metadata"]["finalizers"] == ["grpctracing.dev/revert"]
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place, "GrpcTracing", "default"))
        for name, was in before.items():
            after = await place.must("Deployment", name)
            assert without_server_fields(after) == without_server_fields(was)
        assert await place.names("Deployment") == before.keys()
        assert await place.names("Service") == set()
        assert "otel-collector" not in await place.names("ConfigMap")


async def test_the_status_tells_the_story(place, rollouts):
    await place.workload()
    await place.workload("cart", annotations={"grpctracing.dev/containers": "missing"})
    await place.tracing()
    async with running(place.client, place.namespace):
        ready = await eventually(lambda: condition(place, "Ready", "True"))
        listed = await place.listed()
    assert ready["reason"] == "Reconciled"
    assert listed["payment-service"]["state"] == "Injected"
    assert listed["payment-service"]["service"] == "payment-service"
    assert listed["cart"]["reason"] == "UnknownContainer"
    status = (await place.must("GrpcTracing", "default"))["status"]
    counts = status["counts"]
    assert counts["matched"] == 2 == sum(value for name, value in counts.items() if name != "matched")
    assert status["observedGeneration"] == 1


async def test_ten_restarts_write_nothing(place, rollouts):
    await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: condition(place, "Ready", "True"))
        await settled(engine, 3.0)
    before = await everything(place)
    for _ in range(10):
        async with running(place.client, place.namespace) as engine:
            await settled(engine, 0.5)
    assert await everything(place) == before


async def everything(place):
    kinds = ("Deployment", "ConfigMap", "Service", "ServiceAccount", "GrpcTracing")
    found = {}
    for kind in kinds:
        for name in await place.names(kind):
            found[kind, name] = (await place.must(kind, name))["metadata"]["resourceVersion"]
    return found


async def test_resyncs_write_nothing(place, rollouts):
    await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace, resync_seconds=0.2) as engine:
        await eventually(lambda: condition(place, "Ready", "True"))
        await settled_enough(engine)
        before = await everything(place)
        await asyncio.sleep(4)  # some twenty resyncs
        assert await everything(place) == before


async def test_plan_writes_nothing_and_apply_writes_what_plan_has_shown(
    place, rollouts, control_plane, capsys, monkeypatch
):
    await place.workload(env={"OTEL_PROPAGATORS": "b3", "PYTHONPATH": "/app"})
    await eventually(lambda: available(place))
    await place.tracing(rollout={"mode": "Plan"})
    before = await everything(place)
    async with running(place.client, place.namespace) as engine:
        entry = await eventually(lambda: planned(place))
        await settled(engine)
        untouched = {key: value for key, value in (await everything(place)).items() if key[0] != "GrpcTracing"}
        assert untouched.items() <= before.items(), "no Collector, no ConfigMap, no patch"
        assert "Would replace 2 pods: in app set" in entry["message"]
        shown = await explained(place, control_plane, capsys)
        written = []
        patch = place.client.patch

        async def noting(resource, namespace, name, body, **more):
            written.extend([body["spec"]] if resource is DEPLOYMENTS else [])
            return await patch(resource, namespace, name, body, **more)

        monkeypatch.setattr(place.client, "patch", noting)
        await place.change("GrpcTracing", "default", {"spec": {"rollout": {"mode": "Apply"}}})
        await eventually(place.injected)
    assert written == [shown]


async def available(place):
    return (await place.must("Deployment", "payment-service")).get("status", {}).get("availableReplicas")


async def explained(place, control_plane, capsys):
    """The patch that `explain` prints."""
    environ = {"KUBECONFIG": str(control_plane.kubeconfig)}
    capsys.readouterr()
    assert await explain(SETTINGS, environ, ("Deployment", place.namespace, "payment-service")) == 0
    return json.loads(capsys.readouterr().out.partition("Patch:\n")[2])


async def test_plan_changes_nothing_of_what_is_applied_already(place, rollouts):
    await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: condition(place, "Ready", "True"))
        await place.change("GrpcTracing", "default", {"spec": {"rollout": {"mode": "Plan"}}})
        await settled(engine)
        before = {key: value for key, value in (await everything(place)).items() if key[0] != "GrpcTracing"}
        louder = {"sampler": {"argument": "1"}, "propagators": ["b3"], "selector": {"matchLabels": {"no": "pod"}}}
        changed = await place.change("GrpcTracing", "default", {"spec": louder})
        entry = await eventually(lambda: planned(place, since=changed["metadata"]["generation"]))
        await settled(engine)
        assert "unmount /grpctracing" in entry["message"]
        after = await everything(place)
        assert {key: value for key, value in after.items() if key[0] != "GrpcTracing"} == before


async def planned(place, since=0):
    listed = await place.listed()
    generation = (await place.must("GrpcTracing", "default")).get("status", {}).get("observedGeneration", 0)
    entry = listed.get("payment-service", {})
    return entry if entry.get("reason") == "Planned" and generation >= since else None


async def test_external_mode_runs_no_collector(place, rollouts):
    await place.workload()
    external = {"endpoint": "http://collector.monitoring:4317", "protocol": "grpc"}
    await place.tracing(collector={"mode": "External", "external": external})
    async with running(place.client, place.namespace):
        live = await eventually(place.injected)
        await eventually(lambda: condition(place, "Ready", "True"))
        assert (await place.conditions())["CollectorReady"]["status"] == "Unknown"
    assert env_of(live)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.monitoring:4317"
    assert await place.names("Deployment") == {"payment-service"}
    assert await place.names("Service") == set()


async def test_a_collector_that_is_switched_off_is_removed(place, rollouts):
    await place.tracing()
    async with running(place.client, place.namespace):
        await eventually(lambda: has(place, "Deployment", {"otel-collector"}))
        external = {"endpoint": "http://collector.monitoring:4317", "protocol": "grpc"}
        await place.change(
            "GrpcTracing", "default", {"spec": {"collector": {"mode": "External", "external": external}}}
        )
        for kind in ("Deployment", "Service", "ServiceAccount"):
            await eventually(lambda kind=kind: without(place, kind, "otel-collector"))
    assert "grpctracing-default-bootstrap" in await place.names("ConfigMap")


async def without(place, kind, name):
    return name not in await place.names(kind)


async def test_at_most_max_concurrent_workloads_roll_out(place, rollouts):
    names = [f"service-{number}" for number in range(6)]
    rollouts.stuck |= set(names)
    for name in names:
        await place.workload(name)
    await place.tracing(rollout={"maxConcurrent": 2})
    async with running(place.client, place.namespace):
        await eventually(lambda: injected_count(place, names, 2))
        await asyncio.sleep(3)
        assert await injected_count(place, names, 2), "two roll out, four wait"
        rollouts.stuck.clear()
        await eventually(lambda: injected_count(place, names, 6), within=30)


async def injected_count(place, names, count):
    found = [name for name in names if await place.injected(name)]
    return len(found) == count


async def test_an_object_deleted_while_the_operator_was_away_is_left_when_it_is_back(place, rollouts):
    before = await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace):
        await eventually(place.injected)
        await eventually(lambda: finalized(place))
    await place.delete("GrpcTracing", "default")
    assert await place.get("GrpcTracing", "default") is not None, "the finalizer holds it"
    async with running(place.client, place.namespace):
        await eventually(lambda: gone(place, "GrpcTracing", "default"))
    after = await place.must("Deployment", "payment-service")
    assert without_server_fields(after) == without_server_fields(before)


async def test_an_object_torn_away_without_its_finalizer_is_cleaned_up_after(place, rollouts):
    before = await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace):
        await eventually(place.injected)
        await eventually(lambda: finalized(place))
    await place.delete("GrpcTracing", "default")
    await place.change("GrpcTracing", "default", {"metadata": {"finalizers": []}})
    assert await place.get("GrpcTracing", "default") is None
    async with running(place.client, place.namespace):
        after = await eventually(place.clean)
        await eventually(lambda: without(place, "Service", "otel-collector"))
        await eventually(lambda: without(place, "ConfigMap", "grpctracing-default-bootstrap"))
    assert without_server_fields(after) == without_server_fields(before)


async def test_opting_in_and_out_again_and_again_is_no_fight(place, rollouts):
    await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace):
        for _ in range(5):
            await place.annotate("payment-service", "true")
            await eventually(place.injected)
            await place.annotate("payment-service", "false")
            await eventually(place.clean)
