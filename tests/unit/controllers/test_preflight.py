"""The life of a preflight job: a place among few, patience that ends, and nothing left behind."""

from __future__ import annotations

import asyncio
import json

import pytest

from grpctracing.controllers import preflight as module
from grpctracing.controllers.preflight import AT_ONCE, PATIENCE, RETRY_PULL_SECONDS, RETRY_SECONDS, Preflight
from grpctracing.controllers.world import World
from grpctracing.injection import bootstrap_config_map
from grpctracing.injection.findings import Failure, Report
from grpctracing.injection.probing import digest, manifest, pod_name
from grpctracing.kube import errors
from grpctracing.kube.resources import PODS, Key
from tests.unit.injection.builders import container, deployment, tracing

WORKLOAD = Key("production", "payment-service")
REPORT = {
    "version": 1,
    "python": "3.11.9",
    "grpcio": "1.60.0",
    "elsewhere": None,
    "agents": {},
    "pythonpath": "",
    "variables": [],
}


class Server:
    """Pods by name; what is applied is stored; *refusal* is raised by the next create."""

    def __init__(self):
        self.pods, self.applied, self.deleted, self.refusal = {}, [], [], None

    async def create(self, _resource, _namespace, body):
        if self.refusal:
            raise self.refusal
        name = body["metadata"]["name"]
        if name in self.pods:
            raise errors.Conflict(409, "exists")
        self.pods[name] = {
            **body,
            "metadata": {**body["metadata"], "uid": f"pod-{name}"},
            "status": {"phase": "Pending"},
        }

    async def get(self, resource, _namespace, name):
        if resource.kind != "Pod" or name not in self.pods:
            raise errors.NotFound(404, name)
        return self.pods[name]

    async def list(self, _resource, _namespace, *, selector):
        assert selector == "app.kubernetes.io/component=preflight,app.kubernetes.io/managed-by=grpctracing"
        return list(self.pods.values())

    async def apply(self, _resource, body, *, force):
        self.applied.append(body)
        return {**body, "metadata": {**body["metadata"], "resourceVersion": str(len(self.applied) + 1), "uid": "map"}}

    async def delete(self, _resource, obj):
        self.deleted.append(self.pods.pop(obj["metadata"]["name"])["metadata"]["name"])

    def says(self, name, state):
        pod = self.pods[name]
        pod["status"] = {"containerStatuses": [{"name": c["name"], "state": state} for c in pod["spec"]["containers"]]}


class Desk:
    """One Preflight and what is around it."""

    def __init__(self):
        self.server, self.looked, self.now = Server(), [], 0.0
        self.world = World()
        self.tracing = tracing(resourceVersion="1")
        self.world.tracings.put(self.tracing.model_dump(by_alias=True, mode="json"))
        config_map = bootstrap_config_map(self.tracing, {})
        config_map["metadata"]["resourceVersion"] = "1"
        self.world.owned["ConfigMap"].put(config_map)
        self.preflight = Preflight(self.server, self.world, {}, self.looked.append, clock=lambda: self.now)

    def ask(self, given, workload=WORKLOAD):
        """Ask for the only container of *given*; return the job's key and the pod's name."""
        self.preflight.ask(workload, given, self.tracing, ("app",))
        key = digest(given["spec"]["template"]["spec"]["containers"][0])
        return Key("production", key), pod_name(key)

    def known(self, given):
        return self.preflight.probed(given, self.tracing)["app"]


@pytest.fixture
def desk():
    return Desk()


async def test_a_report_is_kept_the_pod_removed_and_the_asker_told(desk):
    given = deployment()
    key, pod = desk.ask(given)
    assert desk.known(given) is None
    assert await desk.preflight.reconcile(key) is not None
    assert await desk.preflight.reconcile(key) is not None, "it is at work"
    desk.server.says(pod, {"terminated": {"exitCode": 0, "reason": "Completed", "message": json.dumps(REPORT)}})
    assert await desk.preflight.reconcile(key) is None
    assert desk.known(given) == Report((3, 11), "1.60.0")
    assert desk.server.deleted == [pod]
    assert desk.looked == [WORKLOAD]
    assert [body["metadata"]["name"] for body in desk.server.applied] == ["grpctracing-default-preflight"]


async def test_a_pod_that_never_runs_is_given_up(desk):
    given = deployment()
    key, pod = desk.ask(given)
    await desk.preflight.reconcile(key)
    desk.now = PATIENCE + 1
    assert await desk.preflight.reconcile(key) is None
    assert isinstance(desk.known(given), Failure)
    assert desk.server.deleted == [pod]


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        pytest.param({"terminated": {"exitCode": 1, "reason": "Error"}}, RETRY_SECONDS, id="a broken probe"),
        pytest.param({"waiting": {"reason": "ImagePullBackOff"}}, RETRY_PULL_SECONDS, id="no image"),
    ],
)
async def test_a_failure_is_believed_until_there_is_something_new_and_worth_another_look_after_a_while(
    desk, state, seconds
):
    given = deployment()
    key, pod = desk.ask(given)
    await desk.preflight.reconcile(key)
    desk.server.says(pod, state)
    await desk.preflight.reconcile(key)
    assert isinstance(desk.known(given), Failure)
    assert desk.preflight.due(given, desk.tracing) == ()
    desk.now = seconds + 1
    assert isinstance(desk.known(given), Failure), "nothing that is told changes meanwhile"
    assert desk.preflight.due(given, desk.tracing) == ("app",)
    assert not desk.server.applied, "no failure outlives the operator"


async def test_once_there_is_a_report_a_failure_of_before_is_no_reason_to_look_again(desk):
    given = deployment()
    key, _ = desk.ask(given)
    desk.preflight._remember(key, Failure("no node"), RETRY_SECONDS)
    desk.now = RETRY_SECONDS + 1
    await looked_into(desk, given)
    assert desk.preflight.due(given, desk.tracing) == ()


async def test_a_report_that_could_not_be_kept_is_worth_another_look(desk):
    async def refuse(*_, **__):
        raise errors.Forbidden(403, "quota")

    desk.server.apply = refuse
    await looked_into(desk, given := deployment())
    assert desk.preflight.due(given, desk.tracing) == ()
    desk.now = RETRY_SECONDS
    assert desk.preflight.due(given, desk.tracing) == ("app",)


async def looked_into(desk, given):
    """Have a look into the image of *given*, to its end."""
    key, pod = desk.ask(given)
    await desk.preflight.reconcile(key)
    desk.server.says(pod, {"terminated": {"exitCode": 0, "reason": "Completed", "message": json.dumps(REPORT)}})
    await desk.preflight.reconcile(key)
    assert isinstance(desk.known(given), Report)


@pytest.mark.parametrize("spec", [{"rollout": {"mode": "Plan"}}, {"preflight": "Never"}])
async def test_nothing_is_due_where_nobody_looks(desk, spec):
    """Its job would end at once and have its asker looked at, which would ask again, without end."""
    given = deployment()
    key, _ = desk.ask(given)
    desk.preflight._remember(key, Failure("no node"), RETRY_SECONDS)
    desk.now = RETRY_SECONDS
    assert desk.preflight.due(given, desk.tracing) == ("app",)
    assert desk.preflight.due(given, tracing(spec=spec)) == ()


async def test_a_refused_pod_is_a_failure_at_once(desk):
    given = deployment()
    key, _ = desk.ask(given)
    desk.server.refusal = errors.Forbidden(403, "exceeded quota")
    assert await desk.preflight.reconcile(key) is None
    assert "exceeded quota" in desk.known(given).why


@pytest.mark.parametrize("refused", ["create", "get", "apply", "delete"])
async def test_a_refusal_keeps_no_place_from_others(desk, refused):
    async def refuse(*_, **__):
        raise errors.Forbidden(403, "not for you")

    works = getattr(desk.server, refused)
    setattr(desk.server, refused, refuse)
    for number in range(AT_ONCE + 1):
        given = deployment(containers=[container("app", image=f"shop:{number}")])
        key, pod = desk.ask(given, Key("production", f"shop-{number}"))
        await desk.preflight.reconcile(key)
        if pod in desk.server.pods:
            desk.server.says(pod, {"terminated": {"exitCode": 0, "message": json.dumps(REPORT)}})
            await desk.preflight.reconcile(key)
        assert desk.known(given) is not None
        assert desk.looked[-1].name == f"shop-{number}"
    setattr(desk.server, refused, works)


async def test_what_was_asked_for_before_a_switch_to_plan_makes_no_pod(desk):
    key, _ = desk.ask(deployment())
    switched = tracing(resourceVersion="2", spec={"rollout": {"mode": "Plan"}})
    desk.world.tracings.put(switched.model_dump(by_alias=True, mode="json"))
    assert await desk.preflight.reconcile(key) is None
    assert desk.server.pods == {}


async def test_an_api_server_that_is_away_is_no_finding(desk):
    given = deployment()
    key, _ = desk.ask(given)
    desk.server.refusal = errors.Unavailable(503, "away")
    with pytest.raises(errors.Unavailable):
        await desk.preflight.reconcile(key)
    desk.server.refusal = None
    assert desk.known(given) is None
    assert await desk.preflight.reconcile(key) is not None
    assert desk.server.pods


async def test_somebody_elses_pod_of_that_name_stays(desk):
    given = deployment()
    key, pod = desk.ask(given)
    desk.server.pods[pod] = {"metadata": {"name": pod, "uid": "x", "labels": {}}, "spec": {"containers": []}}
    await desk.preflight.reconcile(key)
    await desk.preflight.reconcile(key)
    assert "not ours" in desk.known(given).why
    assert pod in desk.server.pods


async def test_those_that_wait_for_a_place_cost_nothing_and_come_on_in_their_order(desk):
    keys = []
    for number in range(AT_ONCE + 2):
        given = deployment(containers=[container(image=f"shop/{number}:1")])
        keys.append(desk.ask(given))
    steps = [await desk.preflight.reconcile(key) for key, _ in keys]
    assert [step is not None for step in steps] == [True] * AT_ONCE + [False] * 2, "the last two are not polled"
    assert len(desk.server.pods) == AT_ONCE
    while desk.preflight.queue._ready:
        desk.preflight.queue._working.discard(await desk.preflight.queue._take())
    desk.server.says(keys[0][1], {"terminated": {"exitCode": 0, "reason": "Completed", "message": json.dumps(REPORT)}})
    await desk.preflight.reconcile(keys[0][0])
    assert len(desk.preflight.queue._ready) == 1
    assert await desk.preflight.queue._take() == keys[AT_ONCE][0]


async def test_what_an_earlier_process_left_is_swept_and_what_is_at_work_is_not(desk):
    asked, left = deployment(), deployment(containers=[container(image="shop/left:1")])
    key, pod = desk.ask(asked)
    await desk.preflight.reconcile(key)
    orphan = manifest(left, left["spec"]["template"]["spec"]["containers"][0], desk.tracing)
    await desk.server.create(PODS, "production", orphan)
    with pytest.raises(TimeoutError):  # a part that ends would end the operator
        await asyncio.wait_for(desk.preflight.sweep(), 0.2)
    assert desk.server.deleted == [orphan["metadata"]["name"]]
    assert list(desk.server.pods) == [pod]


async def test_pods_of_other_operators_are_not_swept_up(desk):
    left = deployment()
    await desk.server.create(
        PODS, "production", manifest(left, left["spec"]["template"]["spec"]["containers"][0], desk.tracing)
    )
    desk.preflight.ours = {"elsewhere"}.__contains__
    await desk.preflight.sweep_in(None)
    assert not desk.server.deleted


async def test_nobody_waits_for_an_object_that_is_gone(desk):
    key, pod = desk.ask(deployment())
    await desk.preflight.reconcile(key)
    desk.world.tracings.remove(Key("production", "default"))
    assert await desk.preflight.reconcile(key) is None
    assert desk.server.deleted == [pod]
    assert desk.looked == [WORKLOAD]


def test_what_is_remembered_is_bounded(desk, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for number in range(10):
        desk.preflight._remember(Key("production", str(number)), Failure("x"), 60)
    assert len(desk.preflight._known) == 3
