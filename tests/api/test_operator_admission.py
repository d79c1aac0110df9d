"""The operator under `rollout.strategy: Admission`: it writes a policy, and no workload, ever."""

from __future__ import annotations

import pytest

from grpctracing.cli.uninstall import Uninstall
from grpctracing.controllers import admission as module
from grpctracing.injection import policies
from grpctracing.kube import errors
from grpctracing.kube.resources import POLICIES, Resource
from tests.api import running as operator
from tests.api.admission import env_of as pod_env
from tests.api.admission import pod_of
from tests.api.asking import finalized, gone, reason
from tests.api.running import env_of, new_namespace, running, version

pytestmark = pytest.mark.api
PODS = Resource("", "v1", "pods", "Pod")
ADMISSION = {"strategy": "Admission"}


@pytest.fixture(autouse=True)
def _one_api_server(monkeypatch):
    monkeypatch.setattr(module, "SPREADING", 1.0)


async def eventually(check):
    """Patiently: the API server looks at new policies once a second, if it has nothing else to do."""
    return await operator.eventually(check, within=40)


async def pod(place, live, **metadata):
    """The pod that would now be made for a Deployment, by whoever makes pods."""
    body = pod_of(live)
    body["metadata"]["annotations"] |= metadata
    return await place.client._json("POST", PODS.path(place.namespace), query={"dryRun": "All"}, body=body)


async def injected(place, live):
    return "GRPCTRACING_POD_NAME" in pod_env(await pod(place, live))


async def untouched(place, live):
    return not await injected(place, live)


async def written(place):
    """What is there of the namespace's policies and bindings."""
    found = set()
    for resource in POLICIES:
        items = await place.client.list(resource, selector=f"grpctracing.dev/namespace={place.namespace}")
        found |= {(resource.kind, item["metadata"]["name"]) for item in items}
    return found


async def entry(place, wanted, name="payment-service"):
    found = (await place.listed()).get(name, {})
    return found if found.get("reason") == wanted else None


async def test_pods_get_it_and_no_workload_is_written(place, rollouts):
    before = await place.workload()
    await place.tracing(rollout=ADMISSION)
    async with running(place.client):
        await eventually(lambda: injected(place, before))
        told = await eventually(lambda: entry(place, "ThroughAdmission"))
        assert (told["state"], told["service"], told["containers"]) == ("Injected", "payment-service", ["app"])
        assert await eventually(lambda: reason(place, "Ready", "Reconciled"))
        opted_out = await pod(place, before, **{"grpctracing.dev/inject": "false"})
        assert not pod_env(opted_out)
        name = f"default.{place.namespace}.grpctracing.dev"
        assert await written(place) == {(resource.kind, name) for resource in POLICIES}
    live = await place.must("Deployment", "payment-service")
    assert live["metadata"]["generation"] == before["metadata"]["generation"]
    managers = {record["manager"] for record in live["metadata"]["managedFields"]}
    assert "grpctracing" not in managers
    assert await injected(place, before), "also while the operator is down"


async def test_what_was_written_goes_with_the_object(place, rollouts):
    before = await place.workload()
    await place.tracing(rollout=ADMISSION)
    async with running(place.client):
        await eventually(lambda: finalized(place))
        await eventually(lambda: injected(place, before))
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place, "GrpcTracing", "default"))
        assert not await written(place)
    await eventually(lambda: untouched(place, before))


async def test_from_patch_to_policy_and_back(place, rollouts):
    before = await place.workload()
    await place.tracing()
    async with running(place.client):
        await eventually(place.injected)
        await place.change("GrpcTracing", "default", {"spec": {"rollout": ADMISSION}})
        live = await eventually(place.clean)
        assert live["spec"] == before["spec"]
        await eventually(lambda: injected(place, live))
        await eventually(lambda: entry(place, "ThroughAdmission"))
        await place.change("GrpcTracing", "default", {"spec": {"rollout": {"strategy": "Patch"}}})
        await eventually(place.injected)
        await eventually(lambda: nothing_written(place))


async def test_what_was_taken_back_does_not_come_again_through_the_policy(place, rollouts):
    rollouts.crashing.add("payment-service")
    before = await place.workload()
    other = await place.workload("order-service")
    await place.tracing()
    async with running(place.client):
        await operator.eventually(lambda: entry(place, "Reverted"), within=30)
        await place.change("GrpcTracing", "default", {"spec": {"rollout": ADMISSION}})
        await eventually(lambda: injected(place, other))
        assert await untouched(place, before)
        asked = await pod(place, before, **{"grpctracing.dev/retry": "1"})
        assert "GRPCTRACING_POD_NAME" in pod_env(asked)
        await eventually(lambda: says(place, "Left alone by the policy"))
        before["spec"]["template"]["spec"]["containers"][0]["image"] += "-mended"
        assert await injected(place, before), "at once: the policy itself tells images apart"


async def says(place, words):
    return (await place.listed())["payment-service"]["message"].startswith(words)


async def nothing_written(place):
    return not await written(place)


async def test_a_change_of_the_object_reaches_new_pods(place, rollouts):
    before = await place.workload()
    await place.tracing(rollout=ADMISSION)
    async with running(place.client):
        await eventually(lambda: injected(place, before))
        await place.change("GrpcTracing", "default", {"spec": {"propagators": ["b3"]}})

        async def changed():
            return pod_env(await pod(place, before)).get("OTEL_PROPAGATORS") == "b3"

        await eventually(changed)
    assert version(await place.must("Deployment", "payment-service"))[1] == before["metadata"]["generation"]


async def test_a_policy_that_is_refused_leaves_pods_as_they_are_and_is_told(place, rollouts, monkeypatch):
    def broken(*asked):
        policy, binding = policies(*asked)
        mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": "variables.no_such_thing"}}
        return [{**policy, "spec": {**policy["spec"], "mutations": [mutation]}}, binding]

    monkeypatch.setattr(module, "policies", broken)
    before = await place.workload()
    await place.tracing(rollout=ADMISSION)
    async with running(place.client):
        found = await eventually(lambda: reason(place, "Ready", "PolicyRefused"))
        assert "no_such_thing" in found["message"]
        assert await entry(place, "Preparing"), "nothing is claimed"
        assert await untouched(place, before)


async def test_a_policy_that_fails_on_a_pod_leaves_it_as_it_is(place, rollouts, monkeypatch):
    def failing(*asked):
        policy, binding = policies(*asked)
        expression = '[JSONPatch{op: "replace", path: "/spec/no/such", value: string(1 / int(object.spec.containers.size() - 1))}]'
        mutation = {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}
        mark = {"patchType": "JSONPatch", "jsonPatch": {"expression": MARK}}
        return [{**policy, "spec": {**policy["spec"], "mutations": [mutation, mark]}}, binding]

    monkeypatch.setattr(module, "policies", failing)
    before = await place.workload()
    await place.tracing(rollout=ADMISSION)

    async def looked_at():
        return (await pod(place, before))["metadata"]["labels"].get("looked") == "at"

    async with running(place.client):
        await eventually(looked_at)
        assert await untouched(place, before)


MARK = '[JSONPatch{op: "add", path: "/metadata/labels/looked", value: "at"}]'


async def test_an_operator_of_some_namespaces_says_that_it_may_not(place, rollouts):
    before = await place.workload()
    await place.tracing(rollout=ADMISSION)
    async with running(place.client, place.namespace):
        found = await eventually(lambda: reason(place, "Degraded", "NotPermitted"))
        assert "watchNamespaces" in found["message"]
        assert not await written(place)
    assert version(await place.must("Deployment", "payment-service"))[1] == before["metadata"]["generation"]


async def test_plan_says_what_would_be_and_writes_nothing(place, rollouts):
    await place.workload()
    await place.tracing(rollout={**ADMISSION, "mode": "Plan"})
    async with running(place.client):
        told = await eventually(lambda: entry(place, "Planned"))
        assert "app" in told["message"]
        assert not await written(place)


async def test_what_is_left_over_is_swept_up_and_what_was_bent_is_restored(place, rollouts):
    before = await place.workload()
    await place.tracing(rollout=ADMISSION)
    await place.tracing("other", rollout=ADMISSION, selector=None)
    async with running(place.client):
        await eventually(lambda: finalized(place, "other"))
        await eventually(lambda: injected(place, before))
        await eventually(lambda: four(place))
    await place.change("GrpcTracing", "other", {"metadata": {"finalizers": None}})
    await place.delete("GrpcTracing", "other")
    bent = {"spec": {"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": MARK}}]}}
    name = f"default.{place.namespace}.grpctracing.dev"
    await place.client.patch(POLICIES[1], "", name, bent, kind="application/merge-patch+json")
    await eventually(lambda: untouched(place, before))
    async with running(place.client):
        await eventually(lambda: injected(place, before))
        assert await written(place) == {(resource.kind, name) for resource in POLICIES}


async def four(place):
    return len(await written(place)) == 4


async def test_two_namespaces_have_nothing_to_do_with_each_other(place, rollouts):
    before = await place.workload()
    await place.tracing(rollout=ADMISSION)
    elsewhere = type(place)(place.client, await new_namespace(place.client))
    async with running(place.client):
        await eventually(lambda: injected(place, before))
        assert await untouched(elsewhere, before)


async def test_somebody_elses_policy_of_our_name_is_left_alone(place, rollouts):
    name = f"default.{place.namespace}.grpctracing.dev"
    theirs = policies(*another(place))[1] | {"metadata": {"name": name}}
    await place.client.create(POLICIES[0], "", theirs)
    await place.tracing(rollout=ADMISSION)
    async with running(place.client):
        await eventually(lambda: reason(place, "Ready", "NameTaken"))
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place, "GrpcTracing", "default"))
    assert await place.client.get(POLICIES[0], "", name)
    await place.client.delete(POLICIES[0], await place.client.get(POLICIES[0], "", name))


def another(place):
    from tests.unit.injection.builders import tracing

    made = tracing(namespace=place.namespace)
    return made, [made]


@pytest.mark.parametrize("by_hand", [False, True], ids=["all", "of one namespace, by hand"])
async def test_uninstalling_takes_the_policies_first(place, rollouts, by_hand):
    before = await place.workload()
    await place.tracing(rollout=ADMISSION)
    async with running(place.client):
        await eventually(lambda: injected(place, before))
    await Uninstall(place.client, ("elsewhere",))._remove_policies()
    await place.client.get(POLICIES[0], "", f"default.{place.namespace}.grpctracing.dev")
    await Uninstall(place.client, (place.namespace,) if by_hand else ())._remove_policies()
    assert not await written(place)
    with pytest.raises(errors.NotFound):
        await place.client.get(POLICIES[0], "", f"default.{place.namespace}.grpctracing.dev")
    assert env_of(before) == env_of(await place.must("Deployment", "payment-service"))
