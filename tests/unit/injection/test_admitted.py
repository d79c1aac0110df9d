"""What is said of a Deployment whose pods come through a policy, and that nothing is written but the way out of a patch."""

from __future__ import annotations

import pytest

from grpctracing.injection import Action, Reason, Seen, State, build, decide, guard, plan
from grpctracing.injection.failed import still_failed
from grpctracing.injection.findings import Failure, Report
from grpctracing.injection.preflight import PULL_SECONDS
from tests.unit.injection.builders import OPT_IN, container, deployment, healthy, tracing
from tests.unit.injection.server import inject
from tests.unit.injection.test_guard import PAYLOAD, remembered

OPT_OUT = {"grpctracing.dev/inject": "false"}
ENV_FROM = {"envFrom": [{"secretRef": {"name": "secret"}}]}


def admission(name="default", *, selector=None, mode="Apply", **metadata):
    return tracing(name, spec={"selector": selector, "rollout": {"strategy": "Admission", "mode": mode}}, **metadata)


ALL = admission(selector={})
PATCH = tracing("patch", spec={"selector": {}})


def said(given, *tracings, **seen):
    verdict = decide(Seen(given, tracings or (ALL,), **seen))
    return verdict.action, verdict.state, verdict.reason


@pytest.mark.parametrize(
    ("given", "seen", "state", "reason"),
    [
        (deployment(), {}, State.INJECTED, Reason.THROUGH_ADMISSION),
        (deployment(), {"spans_seen": False}, State.INJECTED, Reason.THROUGH_ADMISSION),
        (deployment(), {"spans_seen": True}, State.INSTRUMENTED, Reason.SPANS_SEEN),
        (deployment(), {"policy_in_force": False, "spans_seen": True}, State.PENDING, Reason.PREPARING),
        (deployment(status={}), {"spans_seen": True}, State.PROGRESSING, Reason.ROLLING_OUT),
        (deployment(status={}), {"failed_since": 9999.0}, State.DEGRADED, Reason.UNHEALTHY),
        (deployment(replicas=0, status={"observedGeneration": 1}), {}, State.INJECTED, Reason.SCALED_TO_ZERO),
        (deployment(template_annotations=OPT_OUT), {}, State.SKIPPED, Reason.OPTED_OUT),
        (deployment(annotations=OPT_OUT), {}, State.DEGRADED, Reason.NOT_ON_TEMPLATE),
        (deployment(containers=["istio-proxy"]), {}, State.SKIPPED, Reason.ONLY_SIDECARS),
        (deployment(containers=[container(**ENV_FROM)]), {}, State.SKIPPED, Reason.VARIABLES_UNSEEN),
        (deployment(template_annotations={"grpctracing.dev/containers": "x"}), {}, State.SKIPPED, Reason.UNKNOWN_CONTAINER),
        (deployment(annotations={"grpctracing.dev/containers": "x"}), {}, State.INJECTED, Reason.THROUGH_ADMISSION),
    ],
)  # fmt: skip
def test_only_what_was_seen_is_claimed(given, seen, state, reason):
    assert said(given, **seen) == (Action.NOTHING, state, reason)


@pytest.mark.parametrize("wish", [{"annotations": OPT_IN}, {"labels": {"tier": "backend"}}])
def test_a_wish_on_the_deployment_reaches_no_pod_and_is_told_so(wish):
    by_label = admission(selector={"matchLabels": {"tier": "backend"}} if "labels" in wish else None)
    assert said(deployment(**wish), by_label) == (Action.NOTHING, State.SKIPPED, Reason.NOT_ON_TEMPLATE)


def test_an_annotation_on_the_template_is_enough():
    opted_in = deployment(template_annotations=OPT_IN)
    assert said(opted_in, admission()) == (Action.NOTHING, State.INJECTED, Reason.THROUGH_ADMISSION)


def test_a_container_that_is_left_alone_is_named():
    given = deployment(containers=["app", container("worker", **ENV_FROM)])
    verdict = decide(Seen(given, [ALL]))
    assert verdict.containers == ("app",)
    assert "worker" in verdict.message


def patched():
    plain = deployment(status=healthy())
    return inject(plain, build(plain, plan(plain, ALL)))


@pytest.mark.parametrize(
    ("seen", "action", "state", "reason"),
    [
        ({}, Action.REVERT, State.PROGRESSING, Reason.PATCHING),
        ({"policy_in_force": False}, Action.WAIT, State.PENDING, Reason.PREPARING),
        ({"progressing": 5}, Action.WAIT, State.PENDING, Reason.ROLLOUT_SLOT),
    ],
)
def test_a_patch_is_taken_out_once_the_policy_is_there_and_under_the_same_bound(seen, action, state, reason):
    assert said(patched(), **seen) == (action, state, reason)


@pytest.mark.parametrize("rollout", [{}, {"mode": "Plan"}])
def test_a_patch_whose_object_is_gone_is_taken_out_whatever_the_policy(rollout):
    """Else that object would wait for ever for what this one waits with."""
    younger = admission("younger", selector={}, **rollout)
    assert said(patched(), younger, policy_in_force=False) == (Action.REVERT, State.PROGRESSING, Reason.PATCHING)


def test_plan_writes_neither():
    planned = admission(selector={}, mode="Plan")
    assert said(patched(), planned) == (Action.NOTHING, State.PENDING, Reason.PLANNED)
    assert said(deployment(), planned, policy_in_force=False) == (Action.NOTHING, State.PENDING, Reason.PLANNED)


def test_an_older_object_that_patches_keeps_its_deployments():
    younger = admission("younger", selector={}, creationTimestamp="2026-02-01T00:00:00Z")
    assert said(deployment(), PATCH, younger) == (Action.INJECT, State.PROGRESSING, Reason.PATCHING)


def test_uninstalling_takes_a_patch_out_as_ever():
    assert said(patched(), reverting=True) == (Action.REVERT, State.SKIPPED, Reason.UNINSTALLING)


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        pytest.param({}, Reason.REVERTED, id="nothing has changed"),
        pytest.param({"containers": [container(image="shop/app:2")]}, Reason.THROUGH_ADMISSION, id="another image"),
        pytest.param(
            {"template_annotations": {"grpctracing.dev/retry": "1"}}, Reason.THROUGH_ADMISSION, id="asked for"
        ),
        pytest.param(
            {"annotations": {"grpctracing.dev/retry": "1"}}, Reason.REVERTED, id="asked for where no pod shows it"
        ),
        pytest.param({"name": "order-service"}, Reason.IMAGE_REVERTED, id="another one with the image"),
    ],
)
def test_what_failed_with_the_patch_does_not_come_again_through_the_policy(again, reason):
    given = deployment(**again)
    records = remembered()
    assert said(given, reverted=records, payload=PAYLOAD)[2] is reason
    (left_alone,) = still_failed(records.values(), [deployment()], PAYLOAD)
    assert left_alone.images == ("shop/app:1",)
    assert not still_failed(records.values(), [deployment()], "another release")


AWAY = deployment()["status"] | {"availableReplicas": 2}
ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}


@pytest.mark.parametrize("name", ["payment-service", "order-service"], ids=["its own record", "a twin's"])
@pytest.mark.parametrize(
    ("given", "rollout_", "seen", "again"),
    [
        pytest.param({"status": AWAY}, {}, {"failed_since": 3.0}, guard.STABLE, id="a pod is not well"),
        pytest.param({"status": AWAY}, {}, {"failed_since": 600.0}, 100.0, id="for long, so less and less often"),
        pytest.param({}, {}, {}, None, id="all are well"),
        pytest.param({"status": AWAY}, {"mode": "Plan"}, {}, None, id="nothing is changed at present"),
        pytest.param({"status": AWAY}, {}, {"policy_in_force": False}, None, id="no policy"),
        pytest.param({"status": AWAY, **ON_DELETE}, {}, {}, None, id="they are their user's"),
    ],
)
def test_pods_that_broke_are_looked_for_only_where_they_would_be_replaced(name, given, rollout_, seen, again):
    tracings = [admission(selector={}, **rollout_)]
    found = decide(Seen(deployment(name=name, **given), tracings, reverted=remembered(), payload=PAYLOAD, **seen))
    assert found.state in {State.DEGRADED, State.SKIPPED}
    assert found.requeue == again


LOOKED = admission(selector={})
REPORT = Report(python=(3, 12), grpcio="1.60")


@pytest.mark.parametrize(
    ("finding", "seen", "state", "reason", "asked"),
    [
        (None, {}, State.PENDING, Reason.PROBING, ("app",)),
        (None, {"policy_in_force": False}, State.PENDING, Reason.PREPARING, ()),
        (Failure("no node"), {}, State.SKIPPED, Reason.PREFLIGHT_FAILED, ()),
        (Failure("no node"), {"insisted": True}, State.INJECTED, Reason.THROUGH_ADMISSION, ()),
        (None, {"insisted": True}, State.INJECTED, Reason.THROUGH_ADMISSION, ("app",)),
        (REPORT, {}, State.INJECTED, Reason.THROUGH_ADMISSION, ()),
        (Report(python=(3, 12)), {}, State.SKIPPED, Reason.NO_GRPCIO, ()),
    ],
)
def test_what_nobody_has_looked_into_is_told_to_be_left_alone(finding, seen, state, reason, asked):
    annotations = {"grpctracing.dev/bootstrap": "true"} if seen.pop("insisted", False) else {}
    given = deployment(template_annotations=annotations)
    verdict = decide(Seen(given, (LOOKED,), probed={"app": finding}, **{"policy_in_force": True, **seen}))
    assert (verdict.action, verdict.state, verdict.reason) == (Action.NOTHING, state, reason)
    assert verdict.probe == asked


def test_a_plan_asks_for_no_look_and_names_what_would_get_it():
    planning = admission(selector={}, mode="Plan")
    verdict = decide(Seen(deployment(), (planning,), probed={"app": None}, policy_in_force=False))
    assert (verdict.reason, verdict.probe) == (Reason.PLANNED, ())
    assert "in app;" in verdict.message


PLANNING = admission(selector={}, mode="Plan")


@pytest.mark.parametrize(
    ("finding", "state", "reason", "why"),
    [
        (None, State.PENDING, Reason.PLANNED, "while spec.rollout.mode is Plan nobody does"),
        (Failure("no node"), State.SKIPPED, Reason.PREFLIGHT_FAILED, "could not be probed (no node)"),
        (REPORT, State.INJECTED, Reason.THROUGH_ADMISSION, "New pods get it"),
    ],
)
def test_a_policy_that_stays_under_a_plan_leaves_unknown_images_alone_as_before(finding, state, reason, why):
    verdict = decide(Seen(deployment(), (PLANNING,), probed={"app": finding}, policy_in_force=True))
    assert (verdict.action, verdict.state, verdict.reason) == (Action.NOTHING, state, reason)
    assert why in verdict.message
    assert not verdict.probe, "nothing is made under a plan"


def test_under_a_plan_too_the_containers_of_unknown_images_are_not_among_those_that_get_it():
    given = deployment(containers=["app", "worker"])
    verdict = decide(Seen(given, (PLANNING,), probed={"app": REPORT, "worker": None}, policy_in_force=True))
    assert (verdict.containers, verdict.probe) == (("app",), ())


@pytest.mark.parametrize("name", ["payment-service", "order-service"])
def test_only_new_pods_are_said_to_be_left_alone(name):
    verdict = decide(Seen(deployment(name), (ALL,), reverted=remembered(), payload=PAYLOAD))
    assert "as are all new pods with its images" in verdict.message


UNPULLED = Failure("no such tag", unpullable=True)


@pytest.mark.parametrize(
    ("found", "object_", "soon"),
    [
        pytest.param({"app": UNPULLED}, ALL, True, id="the only image can't be pulled"),
        pytest.param({"app": REPORT, "worker": UNPULLED}, ALL, True, id="one of them can't be pulled"),
        pytest.param(
            {"app": REPORT, "worker": Failure("no node")}, ALL, False, id="another failure: a resync is enough"
        ),
        pytest.param({"app": UNPULLED}, PLANNING, False, id="nobody looks under a plan"),
        pytest.param({"app": REPORT, "worker": UNPULLED}, PLANNING, False, id="nor at one of them"),
    ],
)
def test_what_cannot_be_pulled_is_asked_for_again_before_long(found, object_, soon):
    verdict = decide(Seen(deployment(containers=list(found)), (object_,), probed=found))
    assert verdict.requeue == (PULL_SECONDS if soon else None)
