"""The preflight under `rollout.strategy: Admission`: a pod is touched once its image has been looked into, whatever makes it."""

from __future__ import annotations

import pytest

from grpctracing.controllers import admission, discovery
from tests.api.admission import env_of as pod_env
from tests.api.kubelet import says, waits
from tests.api.running import eventually as eventually_
from tests.api.running import running, version
from tests.api.test_operator_admission import pod

pytestmark = pytest.mark.api
ADMISSION = {"strategy": "Admission"}
IMAGE = "registry.invalid/payment-service:1"


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(admission, "SPREADING", 1.0)
    monkeypatch.setattr(discovery, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(discovery, "PAUSE_SECONDS", 0.2)


async def eventually(check):
    """Patiently: the API server looks at new policies once a second, if it has nothing else to do."""
    return await eventually_(check, within=40)


async def path(place, live):
    """PYTHONPATH of a pod that would now be made."""
    return pod_env(await pod(place, live)).get("PYTHONPATH")


async def told(place, wanted, name="payment-service"):
    found = (await place.listed()).get(name, {})
    return found if found.get("reason") == wanted else None


async def test_what_an_image_puts_on_its_path_is_kept_and_until_that_is_known_its_pods_are_left_alone(
    place, rollouts, kubelet
):
    before = await place.workload()
    await place.tracing(rollout=ADMISSION, preflight="Auto")
    async with running(place.client):
        await eventually(lambda: told(place, "Probing"))
        assert not pod_env(await pod(place, before))
        kubelet.images[IMAGE] = says(pythonpath="/srv/app")
        assert await eventually(lambda: path(place, before)) == "/grpctracing/:/srv/app"
        assert await eventually(lambda: told(place, "ThroughAdmission"))
        before["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.invalid/payment-service:2"
        assert await path(place, before) == "/grpctracing/:/srv/app", "its next tag, at once"
        before["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.invalid/other:1"
        assert not pod_env(await pod(place, before))
    async with running(place.client):
        await eventually(lambda: told(place, "ThroughAdmission"))
    live = await place.must("Deployment", "payment-service")
    assert version(live)[1] == before["metadata"]["generation"]
    assert len([name for name in kubelet.seen if name.startswith("grpctracing-preflight")]) == 1, (
        "a restart asks nobody"
    )


async def test_an_image_that_does_not_need_it_is_left_alone_and_told(place, rollouts, kubelet):
    answers = {
        "old": (says(python="2.7.18"), "PythonTooOld"),
        "batch": (says(grpcio=None), "NoGrpcio"),
        "missing": (waits("ErrImageNeverPull"), "PreflightFailed"),
    }
    before = {name: await place.workload(name) for name in answers}
    kubelet.images |= {f"registry.invalid/{name}:1": state for name, (state, _) in answers.items()}
    await place.tracing(rollout=ADMISSION, preflight="Auto")
    async with running(place.client):
        for name, (_, reason) in answers.items():
            found = await eventually(lambda name=name, reason=reason: told(place, reason, name))
            assert found["state"] == "Skipped"
            assert not pod_env(await pod(place, before[name]))


async def test_a_pod_that_no_workload_stands_behind_makes_its_image_known(place, kubelet):
    """A Job's, a CronJob's, one of its own: the next one is traced."""
    bare = {"metadata": {"name": "import"}, "spec": {"containers": [{"name": "app", "image": IMAGE}]}}
    await place.create({**bare, "apiVersion": "v1", "kind": "Pod"})
    ours = {"name": "mine", "labels": {"app.kubernetes.io/managed-by": "grpctracing"}}
    image = "registry.invalid/ours:1"
    await place.create({"kind": "Pod", "metadata": ours, "spec": {"containers": [{"name": "app", "image": image}]}})
    kubelet.images |= {IMAGE: says(pythonpath="/jobs"), image: says()}
    await place.tracing(rollout=ADMISSION, preflight="Auto")
    async with running(place.client):

        async def next_one():
            found = await place.client._json(
                "POST",
                f"/api/v1/namespaces/{place.namespace}/pods",
                query={"dryRun": "All"},
                body={**bare, "metadata": {"name": "next"}},
            )
            return pod_env(found).get("PYTHONPATH")

        assert await eventually(next_one) == "/grpctracing/:/jobs"
        probes = [name for name in kubelet.seen if name.startswith("grpctracing-preflight")]
        assert len(probes) == 1, "nobody looks into our own"
