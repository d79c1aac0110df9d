"""No pod is evicted for nothing: who would come instead is asked first, and looked at afterwards."""

from __future__ import annotations

import copy

import pytest

from grpctracing.api import Reverted
from grpctracing.controllers import restarts as module
from grpctracing.controllers.board import Board, Facts
from grpctracing.controllers.memory import Memory
from grpctracing.controllers.newcomers import Newcomers
from grpctracing.controllers.pods import Pods
from grpctracing.controllers.restarts import Restarts
from grpctracing.controllers.world import World
from grpctracing.injection import Action, Reason, State, Verdict, guard
from grpctracing.injection.digests import image_digest
from grpctracing.kube import errors
from grpctracing.kube.resources import PODS, Key
from tests.unit.injection.builders import container, deployment
from tests.unit.injection.test_failure import replica_set

KEY, TRACING = Key("production", "payment-service"), Key("production", "default")
GO = Verdict(Action.RESTART, State.PROGRESSING, Reason.RESTARTING)
BUDGET = errors.Unavailable(429, "Cannot evict pod as it would violate the pod's disruption budget.")
FORBIDDEN = errors.Forbidden(403, 'User "operator" cannot create resource "pods/eviction"')


class Recorder:
    def __init__(self):
        self.told = []

    def event(self, about, kind, reason, message):
        self.told.append(reason)


class Server:
    """One Deployment with two pods; *carry* tells whether the next pod carries the injection, *rehearsed* what a dry run says."""

    def __init__(self):
        self.live = deployment(replicas=2)
        self.pods = {name: pod(name) for name in ("a", "b")}
        self.carry = self.rehearsed = True
        self.lists = 0
        self.evicted, self.deleted = [], []
        self.refusal = None

    async def page(self, resource, namespace, query):
        if self.live["kind"] == "StatefulSet":
            return {"items": [{"metadata": {"name": "r", "ownerReferences": [owned_by(self.live)]}, "revision": 1}]}
        made = replica_set()
        return {"items": [made | {"spec": made["spec"] | {"selector": {"matchLabels": {"app": "payment-service"}}}}]}

    async def list(self, resource, namespace=None, *, selector=""):
        self.lists += 1
        return list(self.pods.values())

    async def get(self, resource, namespace, name):
        return self.live

    async def rehearse(self, resource, namespace, body):
        assert resource is PODS
        return pod("new", carries=self.rehearsed)

    async def delete(self, resource, obj):
        self.deleted.append(obj["metadata"]["name"])

    async def evict(self, obj, *, dry_run=False):
        if self.refusal is not None:
            raise self.refusal
        if dry_run:
            return
        name = obj["metadata"]["name"]
        self.evicted.append(name)
        del self.pods[name]
        self.pods[f"{name}-next"] = pod(f"{name}-next", carries=self.carry)


def owned_by(obj):
    return {"uid": obj["metadata"]["uid"], "controller": True, "kind": obj["kind"], "name": obj["metadata"]["name"]}


def pod(name, *, carries=False, ready="True"):
    env = [{"name": "GRPCTRACING_POD_NAME", "value": "x"}] if carries else []
    owner = {"uid": replica_set()["metadata"]["uid"], "controller": True, "kind": "ReplicaSet", "name": "r"}
    return {
        "metadata": {"name": name, "namespace": "production", "uid": name, "ownerReferences": [owner]},
        "spec": {"containers": [container() | {"env": env}]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def restarts(server):
    world, board = World(), Board(changed=lambda key: None)
    metadata = {"name": "default", "namespace": "production", "uid": "t", "resourceVersion": "1"}
    rules = {"strategy": "Admission", "restartExisting": True}
    world.tracings.put({"metadata": metadata, "spec": {"selector": {}, "rollout": rules}})
    board.facts[TRACING] = Facts(policy=True)
    return Restarts(world, board, Memory(server, world), Newcomers(Pods(server), Recorder()), "payload")


async def look(restarts, server, now):
    return await restarts.of(KEY, server.live, still=0.0, now=now)


async def test_each_is_evicted_once_and_then_nothing_is_asked_any_more(restarts, server):
    assert (await look(restarts, server, 100.0)).left == 2
    for now in (101.0, 110.0):
        await restarts.carry_out(KEY, server.live, GO, now)
        assert not (await look(restarts, server, now + 1)).sure, "too early to tell"
        assert (await look(restarts, server, now + 5)).sure
    assert server.evicted == ["a", "b"]
    done = await look(restarts, server, 120.0)
    assert (done.left, done.begun, done.trouble) == (0, True, "")
    lists = server.lists
    await look(restarts, server, 1000.0)
    assert server.lists == lists
    assert restarts.newcomers.recorder.told == ["Restarting"]


async def test_nobody_loses_a_pod_whose_successor_would_not_carry_it(restarts, server):
    server.rehearsed = False
    told = await look(restarts, server, 100.0)
    assert told.trouble == module.NOT_ADMITTED
    await restarts.carry_out(KEY, server.live, GO, 101.0)
    assert not server.evicted
    server.rehearsed = True
    assert (await look(restarts, server, 100.0 + told.again)).trouble == "", "the policy is in force by now"


async def test_a_successor_that_would_be_refused_is_told_in_the_servers_words(restarts, server):
    async def rehearse(*asked):
        raise errors.Forbidden(403, "exceeded quota: pods")

    server.rehearse = rehearse
    assert "exceeded quota" in (await look(restarts, server, 100.0)).trouble


async def test_one_is_enough_to_see_that_it_is_in_vain(restarts, server):
    server.carry = False
    await look(restarts, server, 100.0)
    for now in (101.0, 110.0, 120.0):
        await restarts.carry_out(KEY, server.live, GO, now)
        await look(restarts, server, now + 5)
    assert server.evicted == ["a"]
    assert (await look(restarts, server, 1000.0)).trouble == module.IN_VAIN


async def test_a_pod_that_came_before_any_was_evicted_shows_nothing(restarts, server):
    server.pods["b"] = pod("b", ready="False")
    await look(restarts, server, 100.0)
    server.pods["b"] = pod("b-next")  # by its controller, without the injection
    assert (await look(restarts, server, 110.0)).trouble == ""
    await restarts.carry_out(KEY, server.live, GO, 111.0)
    assert server.evicted == ["a"]


LATE = ("not ready", "cache", "another template", "scaled down", "policy gone", "switched off", "unreadable")


@pytest.mark.parametrize("late", LATE)
async def test_none_goes_while_one_is_away_whatever_the_cache_says(restarts, server, late):
    await look(restarts, server, 100.0)
    cached, server.live = server.live, copy.deepcopy(server.live)
    if late == "not ready":
        server.pods["b"] = pod("b", ready="False")
    elif late == "cache":
        server.live["status"]["availableReplicas"] = 1
    elif late == "scaled down":
        server.live["spec"]["replicas"] = server.live["status"]["replicas"] = 1
        server.live["status"] |= dict.fromkeys(("updatedReplicas", "availableReplicas", "readyReplicas"), 1)
    elif late == "policy gone":
        restarts.board.facts[TRACING] = Facts(policy=False)
    elif late in {"switched off", "unreadable"}:
        obj = copy.deepcopy(restarts.world.tracings.get(TRACING))
        obj["metadata"]["resourceVersion"] = "2"
        obj["spec"]["rollout"]["restartExisting"] = False if late == "switched off" else "what?"
        restarts.world.tracings.put(obj)
    else:
        server.live["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/app:2"
    await restarts.carry_out(KEY, cached, GO, 110.0)
    assert not server.evicted


@pytest.mark.parametrize(
    ("refusal", "budget", "trouble", "again"),
    [
        pytest.param(BUDGET, True, "", guard.BUDGET, id="a budget"),
        pytest.param(FORBIDDEN, False, module.NOT_PERMITTED, guard.AGAIN, id="no right"),
        pytest.param(errors.Unavailable(500, "two budgets"), False, "two budgets", guard.AGAIN, id="a server error"),
        pytest.param(errors.Unavailable(0, "no answer"), False, "", 0.0, id="no answer"),
    ],
)
@pytest.mark.parametrize("rehearsed", [False, True], ids=["when it is rehearsed", "when it comes to it"])
async def test_a_refusal_is_told_until_it_is_over(restarts, server, refusal, budget, trouble, again, rehearsed):
    if rehearsed:
        await look(restarts, server, 100.0)
    server.refusal = refusal
    for now in (101.0, 101.0 + again + 1):
        await look(restarts, server, now)
        await restarts.carry_out(KEY, server.live, GO, now)
        told = await look(restarts, server, now)
        lost = rehearsed and not refusal.status
        assert (told.budget, told.begun, told.again is not None) == (budget, lost, again > 0), (
            "no answer: it may be gone"
        )
        assert trouble in told.trouble
    server.refusal = None
    told = await look(restarts, server, 101.0 + 3 * again + 3)
    assert (told.budget, told.trouble, told.again) == (False, "", None)
    await restarts.carry_out(KEY, server.live, GO, 101.0 + 3 * again + 3)
    assert server.evicted == ["a"]


async def test_nobody_else_costs_a_request(restarts, server):
    obj = copy.deepcopy(restarts.world.tracings.get(TRACING))
    for rollout in ({"strategy": "Patch"}, {"strategy": "Admission"}, {"mode": "Plan", "restartExisting": True}):
        obj["spec"]["rollout"] = {"strategy": "Admission"} | rollout
        obj["metadata"]["resourceVersion"] += "1"
        restarts.world.tracings.put(copy.deepcopy(obj))
        assert await look(restarts, server, 100.0) is None
    assert not server.lists


BEGUN, LATER = "2026-11-01T10:00:00Z", "2026-11-01T10:03:00Z"


ENDED = {"lastState": {"terminated": {"exitCode": 3}}}
LOOPING = {"restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}} | ENDED
RUNNING = {"restartCount": 0, "state": {"running": {}}}


def broken_pod(name, state, *, unready_since=BEGUN, carrying=True):
    """A pod that is not ready, from the start or since later."""
    made = pod(name, carries=carrying)
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": unready_since}
    container = {"name": "app", "ready": False, "restartCount": 0} | state
    return made | {"status": {"startTime": BEGUN, "conditions": [ready], "containerStatuses": [container]}}


def waiting(reason):
    return {"state": {"waiting": {"reason": reason}}}


@pytest.mark.parametrize(
    ("whose", "gone"), [(KEY.name, {"crashes", "no start", "never"}), ("twin", {"crashes", "no start"})]
)
async def test_pods_that_broke_are_replaced_once_the_policy_leaves_their_image_alone(restarts, server, whose, gone):
    server.pods = {
        "crashes": broken_pod("crashes", LOOPING),
        "no start": broken_pod("no start", waiting("RunContainerError"), unready_since=LATER),
        "never": broken_pod("never", RUNNING),
        "served": broken_pod("served", RUNNING | ENDED | {"restartCount": 1}, unready_since=LATER),
        "no image": broken_pod("no image", waiting("ImagePullBackOff"), unready_since=LATER),
        "no secret": broken_pod("no secret", waiting("CreateContainerConfigError"), unready_since=LATER),
        "without": broken_pod("without", LOOPING, carrying=False),
        "well": pod("well", carries=True),
    }
    server.live["status"]["availableReplicas"] = 1
    remembered(restarts, server, whose)
    assert await restarts.of(KEY, server.live, still=20.0, now=100.0) is None
    assert not server.deleted, "the next would come with it again"
    server.rehearsed = False
    assert await restarts.of(KEY, server.live, still=60.0, now=140.0) is None
    assert set(server.deleted) == gone


@pytest.mark.parametrize(("update", "gone"), [("RollingUpdate", ["crashes"]), ("OnDelete", [])])
async def test_under_on_delete_they_are_their_users(restarts, server, update, gone):
    server.live |= {"kind": "StatefulSet"}
    server.live["spec"]["updateStrategy"] = {"type": update}
    server.live["status"] |= {
        "updateRevision": "r",
        "currentRevision": "r",
        "updatedReplicas": 2,
        "availableReplicas": 1,
    }
    crashes = broken_pod("crashes", LOOPING)
    crashes["metadata"] |= {"ownerReferences": [owned_by(server.live)], "labels": {"controller-revision-hash": "r"}}
    server.pods, server.rehearsed = {"crashes": crashes}, False
    remembered(restarts, server, KEY.name)
    await restarts.of(Key(KEY.namespace, KEY.name, "StatefulSet"), server.live, still=60.0, now=140.0)
    assert server.deleted == gone


def remembered(restarts, server, name):
    """Let the GrpcTracing's status say that the image failed with *name*."""
    image = image_digest(server.live, "payload")
    record = Reverted(kind=server.live["kind"], name=name, injection="i", image=image, evidence="exit code 3")
    restarts.memory = Remembers({record.label: record})


class Remembers:
    def __init__(self, records):
        self.records = records

    def of(self, tracing):
        return self.records
