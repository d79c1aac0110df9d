"""What the kubelet and the controllers report, as evidence against a rollout."""

from __future__ import annotations

import pytest

from grpctracing.injection.failure import Cause, broken, diagnose
from tests.unit.injection.builders import container, deployment

SECRET = "s3cret"


def replica_set(name="new", *, revision=2, image="shop/app:1", replicas=1, owner="uid-payment-service"):
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"template": {"spec": {"containers": [container(image=image) | {"image": image}]}}},
        "status": {"replicas": replicas},
    }


def pod(*statuses, owner="uid-new", conditions=(), **metadata):
    return {
        "metadata": {"name": "pod", "ownerReferences": [{"uid": owner, "controller": True}], **metadata},
        "status": {"containerStatuses": list(statuses), "conditions": list(conditions)},
    }


def container_status(restarts=0, *, ready=False, waiting=None, running=None, last=None, message=""):
    state = {"waiting": {"reason": waiting, "message": message}} if waiting else {"running": {}} if running else {}
    ended = {"terminated": {"exitCode": last, "reason": "Error", "message": SECRET}} if last is not None else {}
    return {"name": "app", "restartCount": restarts, "ready": ready, "state": state, "lastState": ended}


def looping(restarts=4, **more):
    return container_status(restarts, waiting="CrashLoopBackOff", last=3, message=SECRET, **more)


def seen(*pods, replica_sets=None, given=None):
    return diagnose(given or deployment(), replica_sets or [replica_set()], pods, generation=1)


@pytest.mark.parametrize(
    ("status", "cause", "at_once", "says"),
    [
        pytest.param(looping(), Cause.CRASH, True, "exit code 3, Error; 4 restarts, CrashLoopBackOff", id="a crash loop"),
        pytest.param(looping(2), Cause.CRASH, False, "2 restarts", id="crashes that may end"),
        pytest.param(container_status(4, running=True, last=1), Cause.CRASH, False, "exit code 1", id="started once more"),
        pytest.param(container_status(waiting="ImagePullBackOff"), Cause.IMAGE, False, "ImagePullBackOff", id="no image"),
        pytest.param(container_status(waiting="RegistryUnavailable"), Cause.IMAGE, False, "RegistryUnavailable", id="no registry"),
        pytest.param(container_status(4, waiting="ContainerCreating", last=1), Cause.CRASH, False, "4 restarts", id="made again after crashes of old"),
        pytest.param(container_status(4, waiting="CreateContainerConfigError", last=1), Cause.CONFIGURATION, False, "CreateContainerConfigError", id="waiting for a Secret after them"),
        pytest.param(
            container_status(waiting="CreateContainerConfigError", message='secret "x" not found'),
            Cause.CONFIGURATION,
            False,
            'CreateContainerConfigError: secret "x" not found',
            id="a reference into nothing",
        ),
        pytest.param(
            container_status(waiting="RunContainerError", message=f"mounting {SECRET}: not a directory"),
            Cause.START,
            False,
            "RunContainerError",
            id="what the runtime can't start",
        ),
        pytest.param(container_status(running=True), Cause.NOT_READY, False, "runs and is not ready", id="its probe fails"),
    ],
)  # fmt: skip
def test_a_container_in_trouble(status, cause, at_once, says):
    older = replica_set("old", revision=1)
    found = seen(pod(status), replica_sets=[older, replica_set()])
    assert (found.cause, found.at_once, found.ours) == (cause, at_once, True)
    assert says in found.message
    assert SECRET not in found.message, "what an application or its runtime has written is nobody's business"


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param([], id="no pod yet"),
        pytest.param([pod(container_status(ready=True, running=True, restarts=9, last=1))], id="well again"),
        pytest.param([pod(container_status(waiting="ContainerCreating"))], id="starting"),
        pytest.param([pod(looping(), owner="uid-old")], id="a pod of the old template"),
        pytest.param([pod(looping(), deletionTimestamp="2026-11-28T00:00:00Z")], id="a pod on its way out"),
    ],
)
def test_no_evidence(pods):
    assert seen(*pods, replica_sets=[replica_set("old", revision=1), replica_set()]) is None


def test_the_clearest_evidence_is_told():
    found = seen(pod(container_status(running=True)), pod(looping()), pod(container_status(waiting="ImagePullBackOff")))
    assert found.cause is Cause.CRASH


def test_a_pod_that_finds_no_node():
    found = seen(pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]))
    assert found.cause is Cause.UNSCHEDULED


def test_pods_that_are_not_made_are_told_in_the_words_of_who_refuses_cut_short():
    refusal = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "exceeded quota\n" + "x" * 999,
    }
    found = seen(given=deployment(status={"conditions": [refusal]}))
    assert found.cause is Cause.REFUSED
    assert found.message.startswith("pods are not made, FailedCreate: exceeded quota x")
    assert len(found.message) < 300


@pytest.mark.parametrize(
    ("older", "ours"),
    [
        pytest.param(replica_set("old", revision=1), True, id="the image runs in older pods"),
        pytest.param(replica_set("old", revision=1, image="shop/app:0"), False, id="the image is new"),
        pytest.param(replica_set("old", revision=1, replicas=0), False, id="nothing to go back to"),
        pytest.param(replica_set("other", revision=1, owner="uid-other"), False, id="somebody else's ReplicaSet"),
    ],
)
def test_a_new_image_that_cannot_be_pulled_is_no_doing_of_an_injection(older, ours):
    found = seen(pod(container_status(waiting="ErrImagePull")), replica_sets=[older, replica_set()])
    assert (found.cause, found.ours) == (Cause.IMAGE, ours)


@pytest.mark.parametrize(
    ("status", "ready", "judged", "want"),
    [
        (looping(), "False", False, True),
        (container_status(waiting="ImagePullBackOff"), "False", False, True),
        (container_status(running=True), "False", False, False),  # it may only be slow
        (container_status(running=True), "False", True, True),
        (container_status(running=True, ready=True), "True", True, False),
        (container_status(1, running=True, ready=True, last=1), "True", True, False),
    ],
)
def test_a_pod_that_is_left_behind_counts_as_broken(status, ready, judged, want):
    assert broken(pod(status, conditions=[{"type": "Ready", "status": ready}]), judged=judged) is want
