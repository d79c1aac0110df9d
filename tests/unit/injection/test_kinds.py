"""In what the kinds differ: how a status is read, what waits for its user, and which pods are of the present template."""

from __future__ import annotations

import pytest

from grpctracing.injection import Reason, State, decide
from grpctracing.injection.decide import Seen
from grpctracing.injection.kinds import KINDS, NOT_PATCHED, label_of, numbers
from grpctracing.injection.patch import build
from grpctracing.injection.plan import plan
from grpctracing.injection.revisions import is_of, newest, selector_of
from grpctracing.injection.rollout import Rollout, began_at, progress, rollout
from tests.unit.injection.builders import OPT_IN, deployment, tracing
from tests.unit.injection.server import apply_patch


def stateful_set(*, updated=3, total=3, available=3, generation=1, **spec):
    status = {"observedGeneration": 1, "replicas": total, "updatedReplicas": updated, "availableReplicas": available}
    made = deployment("db", annotations=OPT_IN, status=status, **spec) | {"kind": "StatefulSet"}
    made["metadata"]["generation"] = generation
    return made


def daemon_set(*, desired=3, updated=3, total=3, available=3, **spec):
    status = {"observedGeneration": 1, "desiredNumberScheduled": desired, "currentNumberScheduled": total}
    status |= {"updatedNumberScheduled": updated, "numberAvailable": available}
    made = deployment("agent", annotations=OPT_IN, status=status, **spec) | {"kind": "DaemonSet"}
    del made["spec"]["replicas"]
    return made


ON_DELETE = {"type": "OnDelete"}
PARTITION = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}


@pytest.mark.parametrize(
    ("workload", "want"),
    [
        (stateful_set(), Rollout.COMPLETE),
        (stateful_set(generation=2), Rollout.RUNNING),
        (stateful_set(updated=1), Rollout.RUNNING),
        (stateful_set(updated=1, total=2, available=2), Rollout.RUNNING),
        (stateful_set(available=2), Rollout.RUNNING),
        (stateful_set(replicas=0, updated=0, total=0, available=0), Rollout.EMPTY),
        (stateful_set(updated=0, updateStrategy=ON_DELETE), Rollout.HELD),
        (stateful_set(updated=1, updateStrategy=ON_DELETE), Rollout.HELD),
        (stateful_set(updated=1, available=2, updateStrategy=ON_DELETE), Rollout.RUNNING),
        (stateful_set(updateStrategy=ON_DELETE), Rollout.COMPLETE),
        (stateful_set(updated=0, updateStrategy=PARTITION), Rollout.RUNNING),
        (stateful_set(updated=1, updateStrategy=PARTITION), Rollout.HELD),
        (stateful_set(updateStrategy=PARTITION), Rollout.COMPLETE),
        (stateful_set(replicas=5, updated=3, total=3, available=3), Rollout.RUNNING),
        (stateful_set(replicas=2, updated=3, total=3, available=3), Rollout.COMPLETE),
        (daemon_set(), Rollout.COMPLETE),
        (daemon_set(updated=1), Rollout.RUNNING),
        (daemon_set(available=2), Rollout.RUNNING),
        (daemon_set(desired=0, updated=0, total=0, available=0), Rollout.EMPTY),
        (daemon_set(updated=0, updateStrategy=ON_DELETE), Rollout.HELD),
        (daemon_set(updateStrategy=ON_DELETE), Rollout.COMPLETE),
        (daemon_set(desired=4, updateStrategy=ON_DELETE), Rollout.RUNNING),
    ],
)
def test_how_a_rollout_stands(workload, want):
    assert rollout(workload) is want


def test_progress_is_told_alike():
    assert progress(stateful_set(updated=1, available=2)) == "1 of 3 pods updated, 2 available"
    assert progress(daemon_set(updated=2)) == "2 of 3 pods updated, 3 available"


@pytest.mark.parametrize(
    ("workload", "restarts"),
    [
        (deployment(replicas=4), 4),
        (stateful_set(), 3),
        (stateful_set(updateStrategy=PARTITION), 1),
        (stateful_set(updateStrategy=ON_DELETE), 0),
        (daemon_set(), 3),
        (daemon_set(updateStrategy=ON_DELETE), 0),
    ],
)
def test_a_plan_tells_how_many_pods_would_restart(workload, restarts):
    assert numbers(workload).replaced == restarts
    verdict = decide(Seen(workload, [tracing(spec={"rollout": {"mode": "Plan"}, "selector": {}})]))
    assert verdict.restarts == restarts
    assert verdict.message.startswith(f"Would replace {restarts} pod")


@pytest.mark.parametrize("workload", [stateful_set(), daemon_set()], ids=["StatefulSet", "DaemonSet"])
def test_what_is_put_in_names_the_kind_and_comes_out_again(workload):
    injected = apply_patch(workload, build(workload, plan(workload, tracing())))
    env = {entry["name"]: entry.get("value") for entry in injected["spec"]["template"]["spec"]["containers"][0]["env"]}
    name = workload["metadata"]["name"]
    assert f"k8s.{workload['kind'].lower()}.name={name}" in env["OTEL_RESOURCE_ATTRIBUTES"]
    assert "k8s.deployment.name" not in env["OTEL_RESOURCE_ATTRIBUTES"]
    back = apply_patch(injected, build(injected, None))
    assert back["spec"] == workload["spec"]


@pytest.mark.parametrize(
    ("workload", "annotated", "kinds", "want"),
    [
        (stateful_set(), False, ["Deployment"], Reason.NOT_SELECTED),
        (stateful_set(), False, ["Deployment", "StatefulSet"], Reason.PATCHING),
        (stateful_set(), True, ["Deployment"], Reason.PATCHING),
        (daemon_set(), False, ["StatefulSet"], Reason.NOT_SELECTED),
        (deployment(), False, ["StatefulSet"], Reason.NOT_SELECTED),
    ],
)
def test_a_selector_is_for_the_kinds_that_are_listed(workload, annotated, kinds, want):
    metadata = workload["metadata"] | {"annotations": OPT_IN if annotated else {}}
    verdict = decide(Seen(workload | {"metadata": metadata}, [tracing(spec={"selector": {}, "kinds": kinds})]))
    assert verdict.reason is want


def test_pods_that_wait_for_their_user_are_injected_and_not_ill():
    workload = stateful_set(updated=0, updateStrategy=ON_DELETE)
    injected = apply_patch(workload, build(workload, plan(workload, tracing())))
    verdict = decide(Seen(injected, [tracing()], failed_since=10_000))
    assert (verdict.state, verdict.reason, verdict.requeue) == (State.INJECTED, Reason.HELD_BACK, None)
    assert "OnDelete" in verdict.message
    assert not verdict.proved
    assert "receives spans of the others" in decide(Seen(injected, [tracing()], spans_seen=True)).message


def test_names_that_two_kinds_share_are_told_apart():
    assert [label_of(deployment("db")), label_of(stateful_set())] == ["db", "StatefulSet/db"]


def test_each_kind_is_patched_or_has_a_reason():
    assert not KINDS.keys() & NOT_PATCHED.keys()
    assert NOT_PATCHED.keys() >= {"Job", "CronJob", "Pod"}


def revision(name, number, owner="uid-db", **labels):
    owners = [{"uid": owner, "controller": True}]
    template = {"spec": {"containers": [{"name": "app", "image": "shop/app:1"}]}}
    metadata = {"name": name, "labels": labels, "ownerReferences": owners}
    return {"metadata": metadata, "revision": number, "data": {"spec": {"template": template}}}


def pod(value, owner="uid-db"):
    labels = {"app": "db", "controller-revision-hash": value}
    return {"metadata": {"labels": labels, "ownerReferences": [{"uid": owner, "controller": True}]}}


def test_the_pods_of_a_stateful_set_carry_the_name_of_their_revision():
    db = stateful_set()
    present = newest(db, [revision("db-old", 1), revision("db-new", 3), revision("other", 9, owner="uid-other")])
    assert present["metadata"]["name"] == "db-new"
    assert selector_of(db, present) == {"matchLabels": {"app": "db", "controller-revision-hash": "db-new"}}
    assert [is_of(each, db, present) for each in (pod("db-new"), pod("db-old"), pod("db-new", "uid-x"))] == [
        True,
        False,
        False,
    ]


def test_the_pods_of_a_daemon_set_carry_the_hash_of_their_revision():
    agent = daemon_set()
    label = {"controller-revision-hash": "5d4b"}
    present = newest(agent, [revision("agent-5d4b", 2, "uid-agent", **label)])
    assert is_of(pod("5d4b", "uid-agent"), agent, present)
    assert not is_of(pod("agent-5d4b", "uid-agent"), agent, present)


def test_when_it_was_injected_is_read_from_the_books():
    workload = stateful_set()
    workload["metadata"]["managedFields"] = [
        {"manager": "kubectl", "time": "2026-11-28T12:00:00Z"},
        {"manager": "grpctracing", "time": "2026-11-28T10:00:00Z"},
    ]
    assert began_at(workload) == "2026-11-28T10:00:00Z"
    assert began_at(stateful_set()) is None
