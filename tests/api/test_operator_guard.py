"""The rollout guard against a real API server: pods that crash with the injection get their old template back."""

from __future__ import annotations

import time

import pytest

from grpctracing.controllers import budgets
from grpctracing.injection import guard
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import DEPLOYMENTS, DISRUPTION_BUDGETS
from tests.api.running import deployment, eventually, running, settled, version, without_server_fields

pytestmark = pytest.mark.api

NAME = "payment-service"


async def reverted(place):
    listed = (await place.listed()).get(NAME, {})
    return await place.clean() if listed.get("reason") == "Reverted" else None


async def waiting(place, name, reason):
    return (await place.listed()).get(name, {}).get("reason") == reason


async def memory(place):
    return (await place.must("GrpcTracing", "default")).get("status", {}).get("reverted", [])


async def warnings(place):
    events = await place.client._json("GET", f"/api/v1/namespaces/{place.namespace}/events")
    return [
        event["message"]
        for event in events["items"]
        if (event["type"], event["reason"], event["involvedObject"]["kind"]) == ("Warning", "Reverted", "Deployment")
    ]


async def injected_of(place, names):
    return {name for name in names if await place.injected(name)}


async def test_a_crash_loop_is_taken_back_once_and_for_all_operators_to_come(place, rollouts):
    rollouts.crashing.add(NAME)
    before = await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        after = await eventually(lambda: reverted(place), within=30)
        await eventually(lambda: warnings(place))
        await settled(engine)
    assert without_server_fields(after) == without_server_fields(before)
    (record,) = await memory(place)
    assert record["name"] == NAME
    assert 'container "app" ended with exit code 3, Error; 4 restarts, CrashLoopBackOff' in record["evidence"]
    (warning,) = await warnings(place)
    assert record["evidence"] in warning
    assert "hunter2" not in str(await place.must("GrpcTracing", "default")) + warning

    stands = version(await place.must("Deployment", NAME))
    assert stands[1] == 3, "one patch there, one back"
    async with running(place.client, place.namespace) as engine:
        await settled(engine, 2.0)
    assert version(await place.must("Deployment", NAME)) == stands
    assert await memory(place) == [record]
    assert await waiting(place, NAME, "Reverted")
    assert len(await warnings(place)) == 1, "a restart is no news"


async def test_it_is_tried_again_when_asked_to_and_with_another_image(place, rollouts):
    rollouts.crashing.add(NAME)
    await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: reverted(place), within=30)
        await place.change("Deployment", NAME, {"metadata": {"annotations": {"grpctracing.dev/retry": "1"}}})
        await eventually(place.injected)
        await eventually(lambda: reverted(place), within=30)
        await settled(engine)
        assert [record["retry"] for record in await memory(place)] == ["1"]

        rollouts.crashing.clear()
        await set_image(place, NAME, "registry.invalid/payment-service:2")
        await eventually(place.injected)
        await eventually(lambda: forgotten(place), within=30)


async def forgotten(place):
    return not await memory(place)


async def test_an_image_that_its_user_brings_in_the_middle_is_rolled_out_with_the_injection(place, rollouts):
    await place.workload()
    await eventually(lambda: complete(place, [NAME]))
    rollouts.crashing.add(NAME)
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(place.injected)
        live = await set_image(place, NAME, "registry.invalid/payment-service:2")
        rollouts.crashing.clear()
        await eventually(lambda: waiting(place, NAME, "Unverified"))
        await settled(engine)
    after = await place.injected()
    assert after["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2")
    assert version(after)[1] == version(live)[1], "nothing was taken back, nothing put in again"
    assert not await memory(place)


async def test_a_rollout_that_stands_still_is_taken_back_when_its_time_is_over(place, rollouts):
    rollouts.stuck.add(NAME)
    before = await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: waiting(place, NAME, "RollingOut"))
        assert await place.injected()
        engine.workloads.clock = lambda: time.monotonic() + 301
        after = await eventually(lambda: reverted(place))
    assert without_server_fields(after) == without_server_fields(before)
    (record,) = await memory(place)
    assert record["evidence"] == "1 of 2 pods updated, 2 available"


async def test_the_progress_deadline_of_the_deployment_counts_too(place, rollouts):
    rollouts.stuck.add(NAME)
    rollouts.given_up.add(NAME)
    before = await place.workload()
    await place.tracing()
    async with running(place.client, place.namespace):
        after = await eventually(lambda: reverted(place), within=30)
    assert without_server_fields(after) == without_server_fields(before)


async def test_an_undo_in_the_middle_gives_the_old_template_which_is_then_injected(place, rollouts):
    before = await place.workload()
    await eventually(lambda: complete(place, [NAME]))
    await set_image(place, NAME, "registry.invalid/payment-service:2")
    await eventually(lambda: complete(place, [NAME]))
    rollouts.stuck.add(NAME)
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(place.injected)
        await scaled(place, 5)  # what an autoscaler writes
        rollouts.short.add(NAME)
        live = await undo(place, before["spec"]["template"])
        await eventually(lambda: waiting(place, NAME, "NotHealthy"))
        assert version(await place.must("Deployment", NAME))[1] == version(live)[1], "the user's rollout comes first"
        rollouts.short.clear()
        rollouts.stuck.clear()
        await eventually(lambda: waiting(place, NAME, "Unverified"))
        await settled(engine)
    after = await place.injected()
    assert after["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":1")
    assert (after["spec"]["replicas"], version(after)[1]) == (5, version(live)[1] + 1), "one patch, no more"
    assert not await memory(place)


async def scaled(place, replicas):
    path = DEPLOYMENTS.path(place.namespace, NAME, "scale")
    await place.client._json("PATCH", path, body={"spec": {"replicas": replicas}}, content_type=MERGE)


async def undo(place, template):
    """What `kubectl rollout undo` writes: the template of an older ReplicaSet."""
    path, query = DEPLOYMENTS.path(place.namespace, NAME), {"fieldManager": "kubectl-rollout"}
    body = [{"op": "replace", "path": "/spec/template", "value": template}]
    return await place.client._json("PATCH", path, query=query, body=body, content_type="application/json-patch+json")


async def test_a_disruption_budget_without_a_pod_to_spare_holds_back_what_would_take_one(place, rollouts, monkeypatch):
    monkeypatch.setattr(guard, "BUDGET", 0.5)
    monkeypatch.setattr(budgets, "FRESH", 0.3)
    looks = []
    look = budgets.Budgets.look

    async def noting(self, namespace):
        looks.append(namespace)
        await look(self, namespace)

    monkeypatch.setattr(budgets.Budgets, "look", noting)
    first_down = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
    for name in (NAME, "others-first"):
        made = deployment(name)
        made["spec"]["strategy"] = first_down if name == NAME else {}
        await place.create(made)
    await eventually(lambda: complete(place, [NAME, "others-first"]))
    budget = {"selector": {}, "maxUnavailable": 1}
    await place.create(
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "all"}, "spec": budget}
    )
    await allow(place, 0)
    await place.tracing()
    async with running(place.client, place.namespace):
        await eventually(lambda: waiting(place, NAME, "DisruptionBudget"))
        await eventually(lambda: place.injected("others-first"))
        asked = len(looks)
        await eventually(lambda: len(looks) > asked + 2)
        assert not await place.injected()
        await allow(place, 1)
        await eventually(place.injected)


async def allow(place, disruptions):
    status = {"observedGeneration": 1, "expectedPods": 4, "currentHealthy": 4, "desiredHealthy": 3}
    body = {"status": status | {"disruptionsAllowed": disruptions}}
    path = DISRUPTION_BUDGETS.path(place.namespace, "all", "status")
    await place.client._json("PATCH", path, body=body, content_type=MERGE)


async def test_a_user_who_scales_restarts_and_pauses_in_the_middle_has_their_way(place, rollouts):
    await place.workload()
    await eventually(lambda: complete(place, [NAME]))
    rollouts.stuck.add(NAME)
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(place.injected)
        restart = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-28T12:00:00Z"}}}
        await place.change("Deployment", NAME, {"spec": {"replicas": 4, "template": restart}})
        live = await place.change("Deployment", NAME, {"spec": {"paused": True}})
        await eventually(lambda: waiting(place, NAME, "Paused"))
        engine.workloads.clock = lambda: time.monotonic() + 301
        await place.change("Deployment", NAME, {"metadata": {"labels": {"looked-at": "again"}}})
        await settled(engine)
        assert version(await place.injected())[1] == version(live)[1], "a paused rollout is nobody's failure"
        live = await place.change("Deployment", NAME, {"spec": {"paused": None}})
        await eventually(lambda: waiting(place, NAME, "RollingOut"))
        rollouts.stuck.clear()
        await eventually(lambda: waiting(place, NAME, "Unverified"))
    after = await place.injected()
    assert (after["spec"]["replicas"], version(after)[1]) == (4, version(live)[1])
    assert not await memory(place)


async def test_the_first_workload_of_an_image_goes_alone(place, rollouts):
    names = [f"service-{number}" for number in range(4)]
    rollouts.stuck |= set(names)
    for name in names:
        await place.workload(name)
        await set_image(place, name, "registry.invalid/monolith:1")
    await eventually(lambda: complete(place, names))
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        (first,) = await eventually(lambda: injected_of(place, names))
        await eventually(lambda: waiting_all(place, set(names) - {first}))
        await settled(engine)
        assert await injected_of(place, names) == {first}
        rollouts.stuck.clear()
        await eventually(lambda: all_injected(place, names), within=30)


async def set_image(place, name, image):
    live = await place.must("Deployment", name)
    (container,) = live["spec"]["template"]["spec"]["containers"]
    template = {"spec": {"containers": [container | {"image": image}]}}
    return await place.change("Deployment", name, {"spec": {"template": template}})


async def complete(place, names):
    lives = [await place.must("Deployment", name) for name in names]
    return all(
        live.get("status", {}).get("availableReplicas") == 2
        and live["status"]["observedGeneration"] == live["metadata"]["generation"]
        for live in lives
    )


async def waiting_all(place, names):
    return all([await waiting(place, name, "FirstOfImage") for name in names])


async def all_injected(place, names):
    return await injected_of(place, names) == set(names)


async def test_what_is_ill_already_is_left_alone_until_it_is_well(place, rollouts):
    rollouts.short.add(NAME)
    await place.workload()
    await eventually(lambda: ill(place))
    await place.tracing()
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: waiting(place, NAME, "NotHealthy"))
        await settled(engine)
        assert (await place.must("Deployment", NAME))["metadata"]["generation"] == 1
        rollouts.short.clear()
        await eventually(place.injected)


async def ill(place):
    return (await place.must("Deployment", NAME)).get("status", {}).get("availableReplicas") == 1
