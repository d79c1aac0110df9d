"""The operator is away while its users go on working: when it is back, all converges with the fewest patches."""

from __future__ import annotations

import pytest

from grpctracing.kube.client import STRATEGIC
from grpctracing.kube.resources import DEPLOYMENTS
from tests.api.asking import condition, finalized
from tests.api.running import deployment, env_of, eventually, running, settled

pytestmark = pytest.mark.api


async def injected_and_left(place, *names, **tracing):
    """Workloads that were injected by an operator which has ended since, as they are; and as they were before."""
    before = {name: await place.workload(name) for name in names}
    await place.tracing(**tracing)
    async with running(place.client, place.namespace):
        for name in names:
            await eventually(lambda name=name: place.injected(name))
        await eventually(lambda: finalized(place))
        await eventually(lambda: condition(place, "Ready", "True"))
    return before


async def set_image(place, name, image="registry.invalid/new:2"):
    """`kubectl set image`: the injection stays in the template."""
    spec = {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}
    path, query = DEPLOYMENTS.path(place.namespace, name), {"fieldManager": "kubectl-set"}
    await place.client._json("PATCH", path, query=query, body={"spec": spec}, content_type=STRATEGIC)


async def replace(place, name, obj):
    """`kubectl replace`: the manifest is all there is."""
    path = DEPLOYMENTS.path(place.namespace, name)
    await place.client._json("PUT", path, query={"fieldManager": "kubectl-replace"}, body=obj)


async def generations(place):
    found = await place.client.list(DEPLOYMENTS, place.namespace)
    return {obj["metadata"]["name"]: obj["metadata"]["generation"] for obj in found}


async def come_back(place, done=None):
    """The operator again, until all is *done* and told; returns by how many generations it has moved each Deployment."""
    before = await generations(place)
    async with running(place.client, place.namespace) as engine:
        await eventually(done or (lambda: counted(place)), within=30)
        await eventually(lambda: counted(place), within=30)
        await settled(engine)
    return {name: number - before[name] for name, number in (await generations(place)).items()}


async def counted(place):
    """Whether the status speaks of all workloads that there are, and none waits or rolls out."""
    listed = await place.listed()
    busy = [name for name, entry in listed.items() if entry["state"] in {"Pending", "Progressing"}]
    return not busy and listed.keys() == await place.names("Deployment") - {"otel-collector"}


async def test_what_users_did_meanwhile_costs_each_workload_at_most_one_patch(place, rollouts):
    names = ("untouched", "new-image", "replaced", "made-anew", "deleted", "opted-out")
    before = await injected_and_left(place, *names)

    await set_image(place, "new-image")
    newer = deployment("replaced")
    newer["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.invalid/new:2"
    await replace(place, "replaced", newer)
    await place.delete("Deployment", "made-anew")
    await place.workload("made-anew")
    await place.delete("Deployment", "deleted")
    await place.annotate("opted-out", "false")
    await place.workload("came-late")
    await place.workload("came-late-and-out", annotations={"grpctracing.dev/inject": "false"})

    assert await come_back(place) == {
        "untouched": 0,
        "new-image": 0,  # what kubectl left in the template counts: nobody is rolled twice
        "replaced": 1,
        "made-anew": 1,
        "opted-out": 1,
        "came-late": 1,
        "came-late-and-out": 0,
        "otel-collector": 0,
    }
    for name in ("new-image", "replaced", "made-anew", "came-late"):
        assert await place.injected(name)
    assert (await place.clean("opted-out"))["spec"] == before["opted-out"]["spec"]
    assert await place.clean("came-late-and-out")


async def test_changes_of_the_object_and_of_an_image_meanwhile_are_one_patch_together(place, rollouts):
    await injected_and_left(place, "payment-service", "order-service")
    for propagators in (["b3"], ["b3multi"], ["tracecontext"]):
        await place.change("GrpcTracing", "default", {"spec": {"propagators": propagators}})
    await set_image(place, "payment-service")

    async def changed():
        found = [await place.must("Deployment", name) for name in ("payment-service", "order-service")]
        return [env_of(live)["OTEL_PROPAGATORS"] for live in found] == ["tracecontext"] * 2

    assert await come_back(place, changed) == {"payment-service": 1, "order-service": 1, "otel-collector": 0}
    live = await place.must("Deployment", "payment-service")
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.invalid/new:2"


async def test_a_ratio_that_was_changed_meanwhile_travels_live_and_restarts_nobody(place, rollouts):
    await injected_and_left(place, "payment-service")
    await place.change("GrpcTracing", "default", {"spec": {"sampler": {"argument": "0.5"}}})

    async def travelled():
        config_map = await place.must("ConfigMap", "grpctracing-default-bootstrap")
        return "0.5" in config_map["data"]["settings.json"]

    assert await come_back(place, travelled) == {"payment-service": 0, "otel-collector": 0}


async def test_an_image_of_the_users_that_still_rolls_out_when_we_are_back_is_not_rolled_twice(place, rollouts):
    await injected_and_left(place, "payment-service")
    rollouts.stuck.add("payment-service")
    await set_image(place, "payment-service")
    before = await generations(place)
    async with running(place.client, place.namespace) as engine:
        await eventually(lambda: state(place, "Progressing"), within=30)
        rollouts.stuck.clear()
        await eventually(lambda: state(place, "Injected"), within=30)
        await settled(engine)
    assert await generations(place) == before


async def state(place, wanted):
    return (await place.listed()).get("payment-service", {}).get("state") == wanted
