"""Preflight pods against a real API server: made, read, deleted, a few at a time, and once per image."""

from __future__ import annotations

import pytest

from grpctracing.cli.explain import explain
from grpctracing.kube.resources import PODS, Resource
from grpctracing.settings import Settings
from tests.api.asking import condition, gone
from tests.api.kubelet import missing, says, waits
from tests.api.running import deployment, env_of, eventually, running, settled, without_server_fields

pytestmark = pytest.mark.api

QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")


def image(name):
    return f"registry.invalid/{name}:1"


async def told(place, name, reason):
    found = (await place.listed()).get(name, {})
    return found if found.get("reason") == reason else None


async def no_pods(place):
    return not await place.names("Pod")


async def has_path(place, value):
    return env_of(await place.must("Deployment", "payment-service")).get("PYTHONPATH") == value


async def test_images_are_looked_into_before_the_one_patch(place, rollouts, kubelet):
    answers = {
        "plain": (says(), "/grpctracing"),
        "with-path": (says(pythonpath="/image/lib"), "/grpctracing/:/image/lib"),
        "without-python": (missing(), None),
    }
    before = {name: await place.workload(name) for name in answers}
    kubelet.images |= {image(name): state for name, (state, _) in answers.items()}
    await place.tracing(preflight="Auto")
    async with running(place.client, place.namespace) as engine:
        for name, (_, path) in answers.items():
            live = await eventually(lambda name=name: place.injected(name))
            assert env_of(live).get("PYTHONPATH") == path
            assert ("volumes" in live["spec"]["template"]["spec"]) is (path is not None)
        await eventually(lambda: told(place, "without-python", "NotPython"))
        await eventually(lambda: no_pods(place))
        await settled(engine)
        for name, was in before.items():
            assert (await place.must("Deployment", name))["metadata"]["generation"] == 2, "one patch"
            await place.annotate(name, "false")
            after = await eventually(lambda name=name: place.clean(name))
            assert without_server_fields(after) == without_server_fields(was)
    assert len(kubelet.uids) == len(answers)


async def test_nobody_is_restarted_for_nothing(place, rollouts, kubelet, control_plane, capsys):
    answers = {
        "old": (says(python="2.7.18", grpcio=None), "PythonTooOld"),
        "batch": (says(grpcio=None), "NoGrpcio"),
        "traced": (says(agents={"ddtrace": "2.1"}), "AlreadyInstrumented"),
        "missing": (waits("ImagePullBackOff"), "PreflightFailed"),
    }
    for name in answers:
        await place.workload(name)
    kubelet.images |= {image(name): state for name, (state, _) in answers.items()}
    await place.tracing(preflight="Auto")
    async with running(place.client, place.namespace):
        for name, (_, reason) in answers.items():
            found = await eventually(lambda name=name, reason=reason: told(place, name, reason))
            assert found["state"] == "Skipped"
        await eventually(lambda: condition(place, "Ready", "True"))
        await eventually(lambda: no_pods(place))
    for name in answers:
        assert (await place.must("Deployment", name))["metadata"]["generation"] == 1
    assert (
        await explain(
            Settings(), {"KUBECONFIG": str(control_plane.kubeconfig)}, ("Deployment", place.namespace, "batch")
        )
        == 0
    )
    assert "Skipped (NoGrpcio)" in capsys.readouterr().out, "what was found is known without the operator"


async def test_a_quota_that_refuses_the_pod_is_told_and_holds_nobody_up(place, rollouts, kubelet):
    await place.workload()
    await place.client.create(QUOTAS, place.namespace, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    status = {"status": {"hard": {"pods": "0"}, "used": {"pods": "0"}}}  # what the controller-manager would write
    path = QUOTAS.path(place.namespace, "none", "status")
    await place.client._json("PATCH", path, body=status, content_type="application/merge-patch+json")
    await place.tracing(preflight="Auto")
    async with running(place.client, place.namespace):
        live = await eventually(place.injected)
        found = await eventually(lambda: told(place, "payment-service", "Unverified"))
    assert env_of(live)["PYTHONPATH"] == "/grpctracing"
    assert "exceeded quota" in found["message"]
    assert "PYTHONPATH" in found["message"]
    assert not kubelet.uids


async def test_a_few_at_once_and_once_per_image(place, rollouts, kubelet):
    names = [f"service-{number}" for number in range(8)]
    for name in names:
        await place.workload(name)
    await place.create(twin("service-0"))
    tracing = await place.tracing(preflight="Auto", rollout={"maxConcurrent": 100})
    async with running(place.client, place.namespace):
        await eventually(lambda: len(kubelet.uids) == 3)
        for pod in await place.client.list(PODS, place.namespace):
            assert [owner["uid"] for owner in pod["metadata"]["ownerReferences"]] == [tracing["metadata"]["uid"]]
            assert "app" not in pod["metadata"]["labels"], "no selector of the user's matches it"
        kubelet.images |= {image(name): says() for name in names}
        for name in (*names, "twin"):
            await eventually(lambda name=name: place.injected(name), within=30)
        await eventually(lambda: no_pods(place))
    assert kubelet.most == 3
    assert len(kubelet.uids) == len(names)


def twin(name):
    """Another Deployment of the same image."""
    return deployment("twin") | {"spec": deployment(name)["spec"]}


async def test_a_restart_looks_into_nothing_again_and_a_new_image_is_looked_into(place, rollouts, kubelet):
    await place.workload()
    kubelet.images[image("payment-service")] = says(pythonpath="/one")
    await place.tracing(preflight="Auto")
    async with running(place.client, place.namespace):
        await eventually(place.injected)
        await eventually(lambda: condition(place, "Ready", "True"))
    async with running(place.client, place.namespace) as engine:
        await settled(engine)
        assert len(kubelet.uids) == 1
        assert (await place.must("Deployment", "payment-service"))["metadata"]["generation"] == 2
        newer = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image("new")}]
        path = f"/apis/apps/v1/namespaces/{place.namespace}/deployments/payment-service"
        await place.client._json("PATCH", path, body=newer, content_type="application/json-patch+json")
        await eventually(lambda: len(kubelet.uids) == 2)
        live = await place.must("Deployment", "payment-service")
        assert env_of(live)["PYTHONPATH"] == "/grpctracing/:/one", "what is in place stays until more is known"
        assert live["metadata"]["generation"] == 3
        kubelet.images[image("new")] = says(pythonpath="/two")
        await eventually(lambda: has_path(place, "/grpctracing/:/two"))


async def test_pods_are_removed_whoever_left_them_and_so_is_what_was_found(place, rollouts, kubelet):
    await place.workload()
    await place.tracing(preflight="Auto")
    async with running(place.client, place.namespace):
        await eventually(lambda: len(kubelet.uids) == 1)
    assert await place.names("Pod"), "ended in the middle"
    kubelet.images[image("payment-service")] = says()
    async with running(place.client, place.namespace):
        await eventually(place.injected)
        assert "grpctracing-default-preflight" in await place.names("ConfigMap")
        await eventually(lambda: no_pods(place))
        await place.workload("slow")
        await eventually(lambda: place.names("Pod"))
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place, "GrpcTracing", "default"))
        await eventually(lambda: no_pods(place))
        assert "grpctracing-default-preflight" not in await place.names("ConfigMap")
