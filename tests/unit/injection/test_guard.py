"""The rollout guard: who waits, what is taken back, and when it is tried again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grpctracing.api import Reverted
from grpctracing.injection import Action, Reason, Seen, State, build, decide, plan
from grpctracing.injection.digests import image_digest, in_place, planned
from grpctracing.injection.failure import Cause, Failure
from grpctracing.injection.findings import Failure as Unprobed
from grpctracing.injection.findings import Report
from tests.unit.injection.builders import OPT_IN, container, deployment, healthy, tracing
from tests.unit.injection.server import apply_patch, inject

ROLLING = {"observedGeneration": 99, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}
ILL = {"observedGeneration": 99, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2}
GAVE_UP = ROLLING | {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}
CRASH = Failure(Cause.CRASH, 'container "app" ended with exit code 3', at_once=True)
CRASHED_ONCE = replace(CRASH, at_once=False)
PROBE = Failure(Cause.NOT_READY, 'container "app" runs and is not ready')
QUOTA = Failure(Cause.REFUSED, "pods are not made, FailedCreate: exceeded quota")
NEW_IMAGE = Failure(Cause.IMAGE, 'container "app": ErrImagePull', ours=False)
PAYLOAD = "release-1"


def clean(**fields):
    return deployment(**{"annotations": OPT_IN} | fields)


def injected(status=None, object_=None, **fields):
    given = clean(**fields)
    after = inject(given, build(given, plan(given, object_ or tracing())))
    after["status"] = status or healthy()
    return after


def failing(**fields):
    given = {"tracings": [tracing()], "failure": CRASH, "payload": PAYLOAD}
    return Seen(injected(ROLLING), **given | fields)


def remembered(**fields):
    """What a status says after `failing` was taken back."""
    record = decide(failing(**fields)).record
    return {record.name: record}


@pytest.mark.parametrize(
    ("seen", "action", "reason"),
    [
        pytest.param(failing(), Action.REVERT, Reason.REVERTED, id="a crash loop: at once"),
        pytest.param(failing(failure=CRASHED_ONCE), Action.NOTHING, Reason.ROLLING_OUT, id="a crash: not yet"),
        pytest.param(failing(failure=PROBE, failed_since=299.0), Action.NOTHING, Reason.ROLLING_OUT, id="not ready yet"),
        pytest.param(failing(failure=PROBE, failed_since=301.0), Action.REVERT, Reason.REVERTED, id="not ready in time"),
        pytest.param(failing(failure=QUOTA, failed_since=301.0), Action.REVERT, Reason.REVERTED, id="pods refused"),
        pytest.param(failing(failure=None, failed_since=301.0), Action.REVERT, Reason.REVERTED, id="nothing seen of pods"),
        pytest.param(
            replace(failing(failure=None), deployment=injected(GAVE_UP)),
            Action.REVERT,
            Reason.REVERTED,
            id="the Deployment itself gave up",
        ),
        pytest.param(failing(failure=NEW_IMAGE, failed_since=301.0), Action.NOTHING, Reason.UNHEALTHY, id="a bad new image"),
        pytest.param(failing(ended_for=301.0), Action.NOTHING, Reason.ROLLING_OUT, id="long after the rollout"),
        pytest.param(failing(ended_for=299.0), Action.REVERT, Reason.REVERTED, id="soon after the rollout"),
        pytest.param(
            replace(failing(failed_since=301.0), deployment=injected(ROLLING, paused=True)),
            Action.WAIT,
            Reason.PAUSED,
            id="paused: as its user wants it",
        ),
        pytest.param(
            replace(failing(failed_since=301.0), deployment=injected(ROLLING | {"observedGeneration": 0})),
            Action.NOTHING,
            Reason.UNHEALTHY,
            id="no controller has seen the patch",
        ),
        pytest.param(
            replace(failing(), tracings=[tracing(spec={"rollout": {"mode": "Plan"}})]),
            Action.NOTHING,
            Reason.ROLLING_OUT,
            id="nothing is to be written",
        ),
        pytest.param(
            failing(tracings=[tracing(spec={"env": [{"name": "OTEL_X", "value": "1"}]})]),
            Action.INJECT,
            Reason.PATCHING,
            id="its GrpcTracing has been changed meanwhile",
        ),
        pytest.param(failing(undone=4), Action.NOTHING, Reason.CONTESTED, id="somebody puts it in again and again"),
    ],
)  # fmt: skip
def test_what_is_taken_back(seen, action, reason):
    verdict = decide(seen)
    assert (verdict.action, verdict.reason) == (action, reason)
    assert (verdict.record is not None) == (action is Action.REVERT)


def test_taking_back_gives_the_template_that_was_there():
    verdict = decide(failing())
    assert apply_patch(failing().deployment, verdict.patch)["spec"] == clean()["spec"]
    assert verdict.state is State.DEGRADED
    assert "exit code 3" in verdict.message
    assert "grpctracing.dev/retry" in verdict.message


@pytest.mark.parametrize(
    ("again", "tried"),
    [
        pytest.param({}, False, id="nothing has changed"),
        pytest.param({"deployment": clean(replicas=7)}, False, id="scaled"),
        pytest.param({"deployment": clean(template_annotations={"restartedAt": "now"})}, False, id="restarted"),
        pytest.param({"deployment": clean(annotations=OPT_IN | {"a": "b"})}, False, id="annotated with something else"),
        pytest.param({"tracings": [tracing(spec={"sampler": {"type": "always_off"}})]}, False, id="a live setting"),
        pytest.param({"deployment": clean(containers=[container(image="shop/app:2")])}, True, id="another image"),
        pytest.param({"payload": "release-2"}, True, id="another release"),
        pytest.param({"tracings": [tracing(spec={"env": [{"name": "OTEL_X", "value": "1"}]})]}, True, id="another variable"),
        pytest.param({"deployment": clean(annotations=OPT_IN | {"grpctracing.dev/bootstrap": "false"})}, True, id="no bootstrap"),
        pytest.param({"deployment": clean(annotations=OPT_IN | {"grpctracing.dev/retry": "1"})}, True, id="asked to"),
    ],
)  # fmt: skip
def test_what_failed_is_tried_again_only_when_something_has_changed(again, tried):
    seen = Seen(clean(), [tracing()], payload=PAYLOAD, reverted=remembered())
    verdict = decide(replace(seen, **again))
    assert verdict.action is (Action.INJECT if tried else Action.NOTHING)
    if not tried:
        assert (verdict.state, verdict.reason) == (State.DEGRADED, Reason.REVERTED)
        assert "exit code 3" in verdict.message


def test_a_retry_is_asked_for_once_per_value():
    asked = {**OPT_IN, "grpctracing.dev/retry": "1"}
    record = decide(replace(failing(), deployment=injected(ROLLING, annotations=asked))).record
    seen = Seen(clean(annotations=asked), [tracing()], payload=PAYLOAD, reverted={record.name: record})
    assert decide(seen).reason is Reason.REVERTED
    assert decide(replace(seen, deployment=clean())).reason is Reason.REVERTED, (
        "taking the annotation off asks for nothing"
    )
    again = clean(annotations={**OPT_IN, "grpctracing.dev/retry": "2"})
    assert decide(replace(seen, deployment=again)).action is Action.INJECT


def test_an_operator_killed_between_note_and_revert_goes_on_with_the_revert():
    verdict = decide(replace(failing(failure=None), reverted=remembered()))
    assert (verdict.action, verdict.reason) == (Action.REVERT, Reason.REVERTED)


@pytest.mark.parametrize(
    ("status", "says"),
    [(healthy(), "is healthy without it"), (GAVE_UP, "not healthy without it either"), (ROLLING, "Tried again when")],
)
def test_how_it_does_without_is_told(status, says):
    seen = Seen(clean(status=status), [tracing()], payload=PAYLOAD, reverted=remembered())
    assert says in decide(seen).message


@pytest.mark.parametrize("env", [{"PYTHONPATH": "/app"}, {"OTEL_TRACES_SAMPLER": "always_on"}, {}])
def test_the_digest_is_the_same_before_with_and_after_the_injection(env):
    before = clean(env=env)
    with_it = injected(env=env)
    after = apply_patch(with_it, build(with_it, None))
    digests = {planned(each, plan(each, tracing()), PAYLOAD) for each in (before, with_it, after)}
    assert digests == {in_place(with_it, plan(with_it, tracing()), PAYLOAD)}


OTHER_ENV = tracing(spec={"env": [{"name": "OTEL_X", "value": "1"}]})


@pytest.mark.parametrize(
    "waits",
    [
        pytest.param({"probed": {"app": None}}, id="for a preflight"),
        pytest.param({"progressing": 5}, id="for its turn"),
    ],
)
def test_what_fails_is_taken_back_also_while_a_change_waits_which_then_has_its_try(waits):
    seen = failing(tracings=[OTHER_ENV], **waits)
    assert decide(replace(seen, failure=None)).action is Action.WAIT
    verdict = decide(seen)
    assert (verdict.action, verdict.reason) == (Action.REVERT, Reason.REVERTED)
    after = Seen(clean(), [OTHER_ENV], payload=PAYLOAD, reverted={verdict.record.name: verdict.record})
    assert decide(after).action is Action.INJECT
    assert decide(replace(after, tracings=[tracing()])).reason is Reason.REVERTED


GRPC = Report((3, 11), "1.60.0")


@pytest.mark.parametrize(
    ("then", "now", "tried"),
    [
        pytest.param(None, None, False, id="not looked into yet"),
        pytest.param(Unprobed("no"), Unprobed("no"), False, id="can't be looked into"),
        pytest.param(None, replace(GRPC, pythonpath="/image-1"), False, id="its own path is that of the one before"),
        pytest.param(None, replace(GRPC, pythonpath="/image-2"), True, id="its own path was hidden"),
        pytest.param(replace(GRPC, pythonpath="/image-1"), None, False, id="the finding is lost"),
    ],
)
def test_a_failing_image_is_tried_twice_only_if_a_look_into_it_changes_what_is_injected(then, now, tried):
    given = clean()
    built = build(given, plan(given, tracing(), probed={"app": replace(GRPC, pythonpath="/image-1")}))
    live = inject(given, built)
    live["status"] = ROLLING
    record = decide(replace(failing(probed={"app": then}), deployment=live)).record
    seen = Seen(clean(), [tracing()], payload=PAYLOAD, reverted={record.name: record}, probed={"app": now})
    verdict = decide(seen)
    assert verdict.action is (Action.INJECT if tried else Action.NOTHING)
    assert verdict.probe == (("app",) if now is None else ()), "what is not known is found out"


@pytest.mark.parametrize(
    ("seen", "action", "reason"),
    [
        pytest.param({"deployment": clean(status=ILL)}, Action.WAIT, Reason.NOT_HEALTHY, id="a pod is not available"),
        pytest.param({"deployment": clean(status=GAVE_UP)}, Action.WAIT, Reason.NOT_HEALTHY, id="it had given up before"),
        pytest.param({"deployment": clean(status=ROLLING)}, Action.WAIT, Reason.OTHER_ROLLOUT, id="its user rolls out"),
        pytest.param({"deployment": clean(status=ROLLING, paused=True)}, Action.WAIT, Reason.PAUSED, id="paused"),
        pytest.param({"deployment": clean(status={})}, Action.INJECT, Reason.PATCHING, id="no pod was ever made"),
        pytest.param(
            {"deployment": clean(status=ROLLING | {"availableReplicas": 0}), "age": 3.0},
            Action.INJECT,
            Reason.PATCHING,
            id="its first pods are only starting",
        ),
        pytest.param(
            {"deployment": clean(status=ILL | {"availableReplicas": 0}), "age": 30.0},
            Action.WAIT,
            Reason.NOT_HEALTHY,
            id="its first pods have not come up",
        ),
        pytest.param({"image_busy": True}, Action.WAIT, Reason.FIRST_OF_IMAGE, id="another one goes first"),
        pytest.param({"image_busy": True, "image_proved": True}, Action.INJECT, Reason.PATCHING, id="the image is proved"),
        pytest.param(
            {"deployment": injected(ILL, tracing(spec={"env": [{"name": "OTEL_X", "value": "1"}]}))},
            Action.INJECT,
            Reason.PATCHING,
            id="a change of what is in already may be the cure",
        ),
    ],
)  # fmt: skip
def test_who_waits(seen, action, reason):
    verdict = decide(replace(Seen(clean(), [tracing()], payload=PAYLOAD), **seen))
    assert (verdict.action, verdict.reason) == (action, reason)


def twin(seen):
    return {"twin": remembered(**seen)["payment-service"].model_copy(update={"name": "twin"})}


@pytest.mark.parametrize(
    ("seen", "fields", "action", "reason"),
    [
        pytest.param({}, {}, Action.NOTHING, Reason.IMAGE_REVERTED, id="the same image crashed elsewhere"),
        pytest.param({}, {"containers": [container(image="a:2")]}, Action.INJECT, Reason.PATCHING, id="another image"),
        pytest.param({}, {"annotations": OPT_IN | {"grpctracing.dev/retry": "true"}}, Action.INJECT, Reason.PATCHING, id="asked"),
        pytest.param({"failure": QUOTA, "failed_since": 301.0}, {}, Action.INJECT, Reason.PATCHING, id="a quota is no image"),
    ],
)  # fmt: skip
def test_what_failed_with_an_image_is_not_tried_with_the_next_one(seen, fields, action, reason):
    verdict = decide(Seen(clean(**fields), [tracing()], payload=PAYLOAD, reverted=twin(seen)))
    assert (verdict.action, verdict.reason) == (action, reason)


def test_with_fifty_taken_back_nothing_more_is_tried():
    records = {f"w-{number}": Reverted(name=f"w-{number}", injection="x") for number in range(50)}
    verdict = decide(Seen(clean(), [tracing()], reverted=records))
    assert (verdict.action, verdict.reason) == (Action.WAIT, Reason.TOO_MANY_REVERTED)


def test_an_image_is_proved_by_pods_that_stay():
    assert not decide(Seen(injected(), [tracing()])).proved
    assert decide(Seen(injected(), [tracing()], healthy_for=6.0)).proved
    assert decide(Seen(injected(), [tracing()], spans_seen=True)).proved
    assert decide(Seen(injected(), [tracing()], ended_for=61.0)).proved, "also after a restart of the operator"
    assert not decide(Seen(injected(ILL), [tracing()], ended_for=61.0)).proved
    assert not decide(Seen(injected({"observedGeneration": 99}, replicas=0), [tracing()], healthy_for=6.0)).proved
    assert not decide(Seen(clean(), [tracing()], healthy_for=6.0)).proved


def test_images_are_told_apart_with_the_bootstrap():
    assert image_digest(clean(), "1") != image_digest(clean(), "2")
    assert image_digest(clean(), "1") != image_digest(clean(containers=[container(image="b")]), "1")
    assert image_digest(clean(name="a"), "1") == image_digest(clean(name="b"), "1")
