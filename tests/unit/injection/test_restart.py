"""Pods from before the policy: when one is evicted, when none is, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grpctracing.injection import Action, Reason, Seen, State, decide
from grpctracing.injection.failed import still_failed
from grpctracing.injection.failure import Cause, Failure
from grpctracing.injection.findings import Failure as Unprobed
from grpctracing.injection.findings import Report
from grpctracing.injection.restart import Untraced, successor
from tests.unit.injection.builders import container, deployment, healthy, tracing

RULES = {"strategy": "Admission", "restartExisting": True}
WELL = {"healthy_for": 60.0}
FIT = Report((3, 11), "1.60.0")
SAFE = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
ROLLING = healthy() | {"availableReplicas": 2}
CRASH = Failure(Cause.CRASH, 'container "app" ended with exit code 3', at_once=True, generation=1)


def asking(*, kinds=("Deployment",), **rollout):
    return tracing(spec={"selector": {}, "kinds": list(kinds), "rollout": {**RULES, **rollout}})


def seen(given=None, *, left=3, rules=None, pods=None, **fields):
    untraced = Untraced(left, **(pods or {}))
    return Seen(given or deployment(), [rules or asking()], untraced=untraced, **WELL | fields)


def stateful(**fields):
    return deployment(**fields) | {"kind": "StatefulSet"}


def daemon(**fields):
    status = {"observedGeneration": 1, **dict.fromkeys(("desiredNumberScheduled", "currentNumberScheduled"), 3)}
    status |= dict.fromkeys(("updatedNumberScheduled", "numberAvailable"), 3)
    return deployment(status=status, **fields) | {"kind": "DaemonSet"}


SETS = asking(kinds=("StatefulSet", "DaemonSet"))
SURGING = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
SPARING_NONE = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
BY_DEFAULT = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}}


@pytest.mark.parametrize(
    ("given", "action", "reason"),
    [
        pytest.param(seen(), Action.RESTART, Reason.RESTARTING, id="well, and nobody else is at it"),
        pytest.param(seen(deployment(**BY_DEFAULT)), Action.RESTART, Reason.RESTARTING, id="a quarter of three is none, but nobody said so"),
        pytest.param(seen(deployment(replicas=2)), Action.RESTART, Reason.RESTARTING, id="two pods"),
        pytest.param(seen(spans_seen=True), Action.RESTART, Reason.RESTARTING, id="spans of the others have come"),
        pytest.param(seen(stateful(), rules=SETS), Action.RESTART, Reason.RESTARTING, id="a StatefulSet that is asked for"),
        pytest.param(seen(daemon(), rules=SETS), Action.RESTART, Reason.RESTARTING, id="a DaemonSet that is asked for"),
        pytest.param(seen(left=0), Action.NOTHING, Reason.THROUGH_ADMISSION, id="all carry it"),
        pytest.param(replace(seen(), untraced=None), Action.NOTHING, Reason.THROUGH_ADMISSION, id="nobody asks"),
        pytest.param(replace(seen(), policy_in_force=False), Action.NOTHING, Reason.PREPARING, id="no policy yet"),
        pytest.param(seen(healthy_for=1.0), Action.WAIT, Reason.PREPARING, id="well for a moment only"),
        pytest.param(seen(progressing=5), Action.WAIT, Reason.ROLLOUT_SLOT, id="others roll out"),
        pytest.param(seen(image_busy=True), Action.WAIT, Reason.FIRST_OF_IMAGE, id="another one of its image goes first"),
        pytest.param(seen(image_busy=True, image_proved=True), Action.RESTART, Reason.RESTARTING, id="its image is known to be well"),
        pytest.param(seen(deployment(paused=True)), Action.WAIT, Reason.PAUSED, id="paused"),
        pytest.param(seen(probed={"app": None}), Action.NOTHING, Reason.PROBING, id="nobody has looked into its image"),
        pytest.param(seen(deployment(containers=["app", "b"]), probed={"app": FIT, "b": None}), Action.WAIT, Reason.PROBING, id="nor into all"),
        pytest.param(seen(probed={"app": FIT}), Action.RESTART, Reason.RESTARTING, id="its image is fit"),
        pytest.param(seen(probed={"app": Unprobed("no such image", unpullable=True)}), Action.NOTHING, Reason.PREFLIGHT_FAILED, id="its image can't be pulled"),
        pytest.param(seen(pods={"budget": True}), Action.WAIT, Reason.DISRUPTION_BUDGET, id="a budget has refused"),
        pytest.param(seen(deployment(status=ROLLING)), Action.NOTHING, Reason.ROLLING_OUT, id="not well, or rolling out"),
        pytest.param(seen(deployment(status=ROLLING), failed_since=301.0), Action.NOTHING, Reason.UNHEALTHY, id="not well for long"),
        pytest.param(seen(deployment(status=ROLLING), pods={"begun": True}), Action.NOTHING, Reason.RESTARTING, id="one is away"),
        pytest.param(seen(pods={"begun": True, "sure": False}), Action.NOTHING, Reason.RESTARTING, id="its successor has not been seen"),
        pytest.param(seen(left=0, pods={"begun": True}, healthy_for=1.0), Action.NOTHING, Reason.RESTARTING, id="the last is only just there"),
        pytest.param(seen(pods={"begun": True}, image_busy=True), Action.RESTART, Reason.RESTARTING, id="begun is begun"),
    ],
)  # fmt: skip
def test_what_happens(given, action, reason):
    verdict = decide(given)
    assert (verdict.action, verdict.reason) == (action, reason)
    assert verdict.patch is None
    assert (verdict.state is State.PROGRESSING) == (reason in {Reason.RESTARTING, Reason.ROLLING_OUT})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param(seen(deployment(replicas=1), left=1), "only pod", id="one pod"),
        pytest.param(seen(deployment(**SPARING_NONE)), "no pod before the next", id="maxUnavailable: 0"),
        pytest.param(seen(daemon(**SURGING), rules=SETS), "no pod before the next", id="a DaemonSet with maxSurge"),
        pytest.param(seen(stateful(updateStrategy={"type": "OnDelete"}), rules=SETS), "yours to delete", id="OnDelete"),
        pytest.param(seen(stateful()), "spec.kinds", id="a kind that is not asked for"),
        pytest.param(seen(deployment(template_annotations=SAFE)), "safe-to-evict", id="not to be evicted"),
        pytest.param(seen(pods={"trouble": "the API server refuses: quota"}), "quota", id="a successor is refused"),
    ],
)
def test_who_is_left_to_their_user(given, why):
    verdict = decide(given)
    assert (verdict.action, verdict.state) == (Action.NOTHING, State.INJECTED)
    assert why in verdict.message
    assert "kubectl rollout restart" in verdict.message
    assert not verdict.proved
    assert why in decide(replace(given, spans_seen=True)).message, "spans of one pod do not tell of the others"


def test_an_image_that_nobody_has_looked_into_is_asked_about():
    assert decide(seen(probed={"app": None})).probe == ("app",)
    assert decide(seen(probed={"app": FIT})).probe == ()


def test_it_proves_its_image_once_all_its_pods_carry_the_injection_and_stay_well():
    assert decide(seen(left=0, pods={"begun": True})).proved
    assert not decide(seen()).proved


def test_a_kind_that_is_not_listed_is_restarted_where_its_template_asks():
    assert decide(seen(stateful(template_annotations={"grpctracing.dev/inject": "true"}))).action is Action.RESTART


@pytest.mark.parametrize(
    ("failure", "still", "taken_out"),
    [
        pytest.param(CRASH, 0.0, True, id="a crash loop: at once"),
        pytest.param(replace(CRASH, at_once=False), 0.0, False, id="a crash: not yet"),
        pytest.param(replace(CRASH, at_once=False), 301.0, True, id="not ready in time"),
        pytest.param(replace(CRASH, ours=False), 301.0, False, id="its image can't be pulled any more"),
        pytest.param(replace(CRASH, cause=Cause.START), 301.0, True, id="can't be started"),
        pytest.param(
            replace(CRASH, cause=Cause.CONFIGURATION), 301.0, False, id="a missing Secret: the policy can't mend that"
        ),
        pytest.param(replace(CRASH, cause=Cause.UNSCHEDULED), 301.0, False, id="no node: the policy can't mend that"),
        pytest.param(replace(CRASH, cause=Cause.REFUSED), 301.0, False, id="a quota: nor that"),
        pytest.param(replace(CRASH, cause=Cause.IMAGE), 301.0, False, id="an image that can't be pulled: nor that"),
        pytest.param(replace(CRASH, generation=0), 301.0, False, id="seen of another template"),
    ],
)
def test_a_failure_keeps_its_images_out_of_the_policy(failure, still, taken_out):
    pods = {"begun": True, "failure": failure}
    given = seen(deployment(status=ROLLING), pods=pods, failed_since=still, payload="release-1")
    verdict = decide(given)
    assert (verdict.reason is Reason.REVERTED) == (verdict.record is not None) == taken_out
    if verdict.record is None:
        return
    assert verdict.state is State.DEGRADED
    (kept_out,) = still_failed([verdict.record], [given.deployment], "release-1")
    assert kept_out.images == ("shop/app:1",)
    known = {verdict.record.label: verdict.record}
    after = decide(replace(given, reverted=known, untraced=None))
    assert (after.reason, after.requeue is not None) == (Reason.REVERTED, True), "its broken pod is waited for"
    mended = replace(given, deployment=deployment(containers=[container(image="shop/app:2")]), reverted=known)
    assert decide(replace(mended, untraced=Untraced(3))).action is Action.RESTART


def test_plan_says_how_many_would_go_and_none_does():
    planned = decide(Seen(deployment(), [asking(mode="Plan")], policy_in_force=False))
    assert (planned.action, planned.restarts) == (Action.NOTHING, 3)
    assert "3 pods from before would be evicted" in planned.message
    single = decide(Seen(deployment(replicas=1), [asking(mode="Plan")], policy_in_force=False))
    assert (single.restarts, "evicted" in single.message) == (0, False)


def test_a_successor_is_what_the_controller_would_make():
    workload = stateful(volumes=[{"name": "tmp", "emptyDir": {}}])
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}
    token = {"name": "kube-api-access-x", "projected": {}}
    owner = {"kind": "StatefulSet", "name": "db", "uid": "u", "controller": True, "blockOwnerDeletion": True}
    labels = {"controller-revision-hash": "db-1", "from": "a webhook"}
    pod = {
        "metadata": {
            "name": "db-0",
            "labels": labels,
            "annotations": {"from": "a webhook"},
            "ownerReferences": [owner],
        },
        "spec": {"nodeName": "a", "volumes": [claim, token]},
    }
    made = successor(workload, pod)
    assert made["metadata"]["labels"] == {"app": "payment-service", "controller-revision-hash": "db-1"}
    assert made["metadata"]["annotations"] == {}
    assert "blockOwnerDeletion" not in made["metadata"]["ownerReferences"][0]
    assert [volume["name"] for volume in made["spec"]["volumes"]] == ["tmp", "data"]
    assert "nodeName" not in made["spec"]
