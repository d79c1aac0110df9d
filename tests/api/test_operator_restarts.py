"""`rollout.restartExisting` beside the real controllers: pods from before the policy are replaced, and no workload is written."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from grpctracing.controllers import admission, newcomers, restarts
from grpctracing.injection import guard
from grpctracing.kube.resources import PODS
from tests.api import running as operator
from tests.api.nodes import Nodes, carries
from tests.api.running import deployment, running
from tests.api.test_operator_permissions import CLUSTER_BINDINGS, CLUSTER_ROLES, account, rules
from tests.cluster import ControlPlane

pytestmark = pytest.mark.api
NAME = "payment-service"
ASKED = {"strategy": "Admission", "restartExisting": True}


async def eventually(check):
    """Patiently: the controllers, and the API server with a new policy, take their time on a busy machine."""
    return await operator.eventually(check, within=60)


@pytest.fixture(scope="module")
def control_plane():
    with ControlPlane(controller_manager=True) as plane:
        yield plane


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch):
    monkeypatch.setattr(admission, "SPREADING", 1.0)  # there is one API server
    monkeypatch.setattr(guard, "STABLE", 0.5)
    monkeypatch.setattr(guard, "BUDGET", 0.5)
    monkeypatch.setattr(restarts, "FRESH", 0.2)
    monkeypatch.setattr(newcomers, "STILL", 0.5)
    monkeypatch.setattr(newcomers, "INTERVAL", 0.5)


@pytest.fixture
async def nodes(place):
    nodes = Nodes(place.client, place.namespace)
    task = asyncio.create_task(nodes.run())
    yield nodes
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def evicting(control_plane, place, tmp_path):
    """The operator's own account with what the chart grants for `restartExisting`."""
    more = [*rules("admissionRules"), *rules("restartRules")]
    async with account(control_plane, place, tmp_path, CLUSTER_ROLES, CLUSTER_BINDINGS, more=more) as operator:
        yield operator


@pytest.fixture
async def admitting(control_plane, place, tmp_path):
    more = rules("admissionRules")
    async with account(control_plane, place, tmp_path, CLUSTER_ROLES, CLUSTER_BINDINGS, more=more) as operator:
        yield operator


async def started(place, *made):
    """Deployments, once the pods of all of them are there and ready."""
    lives = [await place.create(each) for each in made]
    for live in lives:
        await eventually(lambda live=live: available(place, live))
    return lives


async def available(place, made):
    live = await place.must("Deployment", made["metadata"]["name"])
    return live.get("status", {}).get("availableReplicas") == made["spec"]["replicas"]


async def pods(place, name=NAME):
    found = await place.client.list(PODS, place.namespace, selector=f"app={name}")
    return {pod["metadata"]["uid"]: pod for pod in found if not pod["metadata"].get("deletionTimestamp")}


async def carrying(place, name=NAME):
    return [carries(pod) for pod in (await pods(place, name)).values()]


async def says(place, reason, name=NAME, words=""):
    entry = (await place.listed()).get(name, {})
    return entry if entry.get("reason") == reason and words in entry["message"] else None


async def all_carry(place):
    found = await carrying(place)
    return len(found) == 3 and all(found)


def of_three(name=NAME):
    made = deployment(name)
    return made | {"spec": made["spec"] | {"replicas": 3}}


async def test_pods_from_before_are_replaced_one_at_a_time_and_no_workload_is_written(place, nodes, evicting):
    single = deployment("single")
    single["spec"]["replicas"] = 1
    lives = await started(place, of_three(), single)
    alone = await pods(place, "single")
    fewest = []
    async with running(evicting):
        watching = asyncio.create_task(counting(place, fewest))
        await place.tracing(rollout=ASKED)
        await eventually(lambda: all_carry(place))
        watching.cancel()
        await eventually(lambda: says(place, "ThroughAdmission"))
        told = await eventually(lambda: says(place, "ThroughAdmission", "single"))
        (event,) = await eventually(lambda: events(place))
    assert event["message"] == "Evicts pods from before the policy, 3 of them, one after the other."
    assert "rollout restart" not in (await place.listed())[NAME]["message"]
    assert "kubectl rollout restart deployment single" in told["message"]
    assert "only pod" in told["message"]
    assert (await pods(place, "single")).keys() == alone.keys()
    assert min(fewest) >= 2, "never was more than one missing"
    for before in lives:
        live = await place.must("Deployment", before["metadata"]["name"])
        assert live["spec"] == before["spec"]
        assert "grpctracing" not in {record["manager"] for record in live["metadata"]["managedFields"]}


async def events(place):
    found = await place.client._json("GET", f"/api/v1/namespaces/{place.namespace}/events")
    return [event for event in found["items"] if event["reason"] == "Restarting"]


async def counting(place, fewest):
    while True:
        ready = [pod for pod in (await pods(place)).values() if pod["status"].get("containerStatuses")]
        fewest.append(len(ready))
        await asyncio.sleep(0.02)


async def test_a_pod_that_breaks_is_the_only_one_and_its_image_is_left_alone_from_then_on(place, nodes, evicting):
    nodes.crashing.add(NAME)
    await started(place, of_three())
    before = await pods(place)
    await place.tracing(rollout=ASKED)
    async with running(evicting):
        await eventually(lambda: says(place, "Reverted", words="Left alone by the policy"))
        await eventually(lambda: none_carries(place))
        (record,) = (await place.must("GrpcTracing", "default"))["status"]["reverted"]
    assert "CrashLoopBackOff" in record["evidence"]
    assert len((await pods(place)).keys() & before.keys()) == 2, "the others have never been touched"


async def none_carries(place):
    return await carrying(place) == [False] * 3 and await available(place, of_three())


async def test_a_disruption_budget_is_waited_for(place, nodes, evicting):
    budget = {"selector": {"matchLabels": {"app": NAME}}, "maxUnavailable": 0}
    made = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "all"}, "spec": budget}
    await place.create(made)
    await started(place, of_three())
    before = await pods(place)
    await place.tracing(rollout=ASKED)
    async with running(evicting):
        await eventually(lambda: says(place, "DisruptionBudget", words="3 from before"))
        assert (await pods(place)).keys() == before.keys()
        await place.delete("PodDisruptionBudget", "all")
        await eventually(lambda: all_carry(place))


async def test_without_the_right_to_evict_they_stay_and_the_status_says_why(place, nodes, admitting):
    await started(place, of_three())
    before = await pods(place)
    await place.tracing(rollout=ASKED)
    async with running(admitting):
        await eventually(lambda: says(place, "ThroughAdmission", words="set restartExisting to true"))
    assert (await pods(place)).keys() == before.keys()
