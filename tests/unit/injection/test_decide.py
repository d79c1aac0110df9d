"""Whether something is done with a Deployment, and what its user is told."""

from __future__ import annotations

import json

import pytest

from grpctracing.injection import Action, Reason, Seen, State, build, decide, plan
from tests.unit.injection.builders import OPT_IN, container, deployment, healthy, tracing
from tests.unit.injection.server import apply_patch, inject

ALL = {"selector": {}}
BACKEND = {"selector": {"matchLabels": {"tier": "backend"}}}
NO = {"grpctracing.dev/inject": "false"}


def injected(object_=None, **fields):
    """A Deployment that carries what *object_* asks for, with the given status."""
    fields.setdefault("annotations", OPT_IN)
    status = fields.pop("status", None)
    given = deployment(**fields)
    after = inject(given, build(given, plan(given, object_ or tracing())))
    after["status"] = status or healthy(given["spec"]["replicas"])
    return after


@pytest.mark.parametrize(
    ("given", "objects", "chosen"),
    [
        pytest.param(deployment(), [tracing(spec=ALL)], "default", id="an empty selector matches everything"),
        pytest.param(deployment(), [tracing()], None, id="no selector, no annotation: not asked for"),
        pytest.param(deployment(annotations=OPT_IN), [tracing()], "default", id="annotated"),
        pytest.param(deployment(template_annotations=OPT_IN), [tracing()], "default", id="annotated on the template"),
        pytest.param(deployment(annotations=NO), [tracing(spec=ALL)], None, id="false wins over the selector"),
        pytest.param(
            deployment(annotations=OPT_IN, template_annotations=NO), [tracing()], None, id="false wins over true"
        ),
        pytest.param(deployment(labels={"tier": "backend"}), [tracing(spec=BACKEND)], "default", id="by label"),
        pytest.param(deployment(labels={"tier": "web"}), [tracing(spec=BACKEND)], None, id="by another label"),
        pytest.param(
            deployment(annotations=OPT_IN, labels={"tier": "web"}),
            [tracing(spec=BACKEND)],
            "default",
            id="an explicit wish is heard where no selector matches",
        ),
        pytest.param(
            deployment(annotations={"grpctracing.dev/inject": "b"}),
            [tracing("a", spec=ALL), tracing("b")],
            "b",
            id="the annotation names one",
        ),
        pytest.param(
            deployment(),
            [tracing("new", spec=ALL, creationTimestamp="2026-02-02T00:00:00Z"), tracing("old", spec=ALL)],
            "old",
            id="of two the oldest",
        ),
        pytest.param(
            deployment(annotations=OPT_IN),
            [tracing(deletionTimestamp="2026-02-02T00:00:00Z")],
            None,
            id="an object that is being deleted asks for nothing",
        ),
        pytest.param(
            deployment(labels={"app.kubernetes.io/managed-by": "grpctracing"}),
            [tracing(spec=ALL)],
            None,
            id="our own Collector is never matched",
        ),
    ],
)
def test_who_is_selected(given, objects, chosen):
    verdict = decide(Seen(given, objects))
    assert (verdict.tracing if verdict.action is Action.INJECT else None) == chosen


def test_the_object_that_stands_back_is_named():
    verdict = decide(Seen(deployment(), [tracing("a", spec=ALL), tracing("b", spec=ALL)]))
    assert (verdict.tracing, verdict.others) == ("a", ("b",))


def test_an_unknown_object_is_told_with_the_way_out():
    verdict = decide(Seen(deployment(annotations={"grpctracing.dev/inject": "prod"}), [tracing()]))
    assert verdict.reason is Reason.UNKNOWN_TRACING
    assert '"prod"' in verdict.message
    assert verdict.action is Action.NOTHING


@pytest.mark.parametrize(
    ("seen", "state", "reason"),
    [
        pytest.param(
            Seen(injected(), [tracing()], spans_seen=True), State.INSTRUMENTED, Reason.SPANS_SEEN, id="healthy, spans"
        ),
        pytest.param(
            Seen(injected(), [tracing()], spans_seen=False), State.INJECTED, Reason.NO_SPANS_YET, id="healthy, no spans"
        ),
        pytest.param(Seen(injected(), [tracing()]), State.INJECTED, Reason.UNVERIFIED, id="nobody can have seen"),
        pytest.param(
            Seen(injected(status={"observedGeneration": 99, "updatedReplicas": 1}), [tracing()], spans_seen=True),
            State.PROGRESSING,
            Reason.ROLLING_OUT,
            id="spans of the first pod are no health of the rest",
        ),
        pytest.param(
            Seen(
                injected(status={"observedGeneration": 99, "updatedReplicas": 1}),
                [tracing()],
                failed_since=301.0,
                ended_for=301.0,
            ),
            State.DEGRADED,
            Reason.UNHEALTHY,
            id="past healthTimeout, long after the rollout",
        ),
        pytest.param(
            Seen(
                injected(
                    status={
                        "observedGeneration": 99,
                        "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}],
                    }
                ),
                [tracing(spec={"rollout": {"mode": "Plan"}})],
            ),
            State.DEGRADED,
            Reason.UNHEALTHY,
            id="the Deployment itself gave up, and nothing is to be written",
        ),
        pytest.param(
            Seen(injected(replicas=0), [tracing()], spans_seen=False),
            State.INJECTED,
            Reason.SCALED_TO_ZERO,
            id="nothing runs",
        ),
    ],
)
def test_nothing_is_claimed_that_was_not_seen(seen, state, reason):
    verdict = decide(seen)
    assert (verdict.action, verdict.state, verdict.reason) == (Action.NOTHING, state, reason)
    assert verdict.patch is None


@pytest.mark.parametrize(
    ("seen", "action", "reason"),
    [
        pytest.param(
            Seen(deployment(annotations=OPT_IN, paused=True), [tracing()]), Action.WAIT, Reason.PAUSED, id="paused"
        ),
        pytest.param(
            Seen(deployment(annotations=OPT_IN), [tracing()], progressing=5),
            Action.WAIT,
            Reason.ROLLOUT_SLOT,
            id="slots",
        ),
        pytest.param(
            Seen(deployment(annotations=OPT_IN), [tracing()], undone=4), Action.NOTHING, Reason.CONTESTED, id="a fight"
        ),
        pytest.param(
            Seen(deployment(annotations=OPT_IN), [tracing()], undone=3),
            Action.INJECT,
            Reason.PATCHING,
            id="not yet one",
        ),
    ],
)
def test_when_it_is_not_written_at_once(seen, action, reason):
    verdict = decide(seen)
    assert (verdict.action, verdict.reason) == (action, reason)


PLAN = {"rollout": {"mode": "Plan"}}


def test_plan_mode_shows_the_patch_that_apply_would_write():
    given = deployment(annotations=OPT_IN)
    shown = decide(Seen(given, [tracing(spec=PLAN)]))
    written = decide(Seen(given, [tracing()]))
    assert (shown.action, shown.reason) == (Action.NOTHING, Reason.PLANNED)
    assert shown.patch == written.patch
    assert shown.restarts == 3
    assert "Would replace 3 pods: in app set GRPCTRACING_POD_NAME" in shown.message
    assert "PYTHONPATH and mount /grpctracing, volume grpctracing-bootstrap in." in shown.message
    assert len(shown.message) < 1024, "it is told whole"


def test_a_plan_says_what_it_would_wait_for():
    given = deployment(annotations=OPT_IN, status={"observedGeneration": 99, "replicas": 3, "updatedReplicas": 3})
    shown = decide(Seen(given, [tracing(spec=PLAN)]))
    assert shown.reason is Reason.PLANNED
    assert "At present it would wait: Not healthy without injection" in shown.message


def test_a_plan_takes_nothing_out_either_but_for_whom_it_is_taken_out_of():
    live = injected()
    live["metadata"]["annotations"] = {}
    shown = decide(Seen(live, [tracing(spec=PLAN)]))
    assert (shown.action, shown.reason, shown.tracing) == (Action.NOTHING, Reason.PLANNED, "default")
    assert "unmount /grpctracing" in shown.message
    assert shown.patch == decide(Seen(live, [tracing()])).patch
    live["metadata"]["annotations"] = NO
    assert decide(Seen(live, [tracing(spec=PLAN)])).action is Action.REVERT
    assert decide(Seen(live, [tracing(spec=PLAN)], reverting=True)).action is Action.REVERT
    assert decide(Seen(live, [tracing(spec=PLAN, deletionTimestamp="2026-02-02T00:00:00Z")])).action is Action.REVERT


@pytest.mark.parametrize(
    ("seen", "reason", "words"),
    [
        pytest.param({}, Reason.NO_SPANS_YET, "first calls", id="just now"),
        pytest.param({"healthy_for": 299.0, "heard_for": 900.0}, Reason.NO_SPANS_YET, "first calls", id="not for long"),
        pytest.param(
            {"healthy_for": 900.0, "heard_for": 2.0}, Reason.NO_SPANS_YET, "first calls", id="nobody listened"
        ),
        pytest.param({"healthy_for": 900.0, "heard_for": None}, Reason.UNVERIFIED, "not answered", id="no Collector"),
        pytest.param({"healthy_for": 301.0, "heard_for": 301.0}, Reason.NO_SPANS, "NetworkPolicy", id="long enough"),
        pytest.param(
            {"healthy_for": 301.0, "heard_for": 301.0, "spans_seen": True}, Reason.SPANS_SEEN, "receives", id="seen"
        ),
    ],
)
def test_that_no_span_came_is_said_by_who_has_listened(seen, reason, words):
    verdict = decide(Seen(injected(), [tracing()], **{"spans_seen": False} | seen))
    assert verdict.reason is reason
    assert words in verdict.message
    assert (verdict.requeue is not None) == (reason is Reason.NO_SPANS_YET)


@pytest.mark.parametrize(
    ("sampler", "told"),
    [
        ({"type": "always_on"}, False),
        ({"type": "parentbased_traceidratio", "argument": "1"}, False),
        ({"type": "parentbased_traceidratio", "argument": "0.01"}, True),
        ({"type": "parentbased_always_off"}, True),
    ],
)
def test_a_sampler_that_leaves_calls_out_is_named_where_no_span_came(sampler, told):
    object_ = tracing(spec={"sampler": sampler})
    verdict = decide(Seen(injected(object_), [object_], spans_seen=False, healthy_for=301.0, heard_for=301.0))
    assert (sampler["type"] in verdict.message) == told


@pytest.mark.parametrize(
    ("change", "objects", "reason"),
    [
        pytest.param({"annotations": NO}, [tracing()], Reason.OPTED_OUT, id="opted out"),
        pytest.param({"annotations": {}}, [tracing()], Reason.NOT_SELECTED, id="annotation removed"),
        pytest.param({}, [], Reason.NOT_SELECTED, id="object gone"),
        pytest.param({}, [tracing(deletionTimestamp="2026-02-02T00:00:00Z")], Reason.NOT_SELECTED, id="object going"),
    ],
)
def test_going_back_gives_the_same_template(change, objects, reason):
    before = deployment(annotations=OPT_IN, env={"A": "1", "PYTHONPATH": "/app"})
    live = injected(env={"A": "1", "PYTHONPATH": "/app"})
    if change:
        live["metadata"] = {**live["metadata"], **change}
    if not change and not objects:
        live["metadata"]["annotations"] = {}
    verdict = decide(Seen(live, objects))
    assert (verdict.action, verdict.reason) == (Action.REVERT, reason)
    assert apply_patch(live, verdict.patch)["spec"] == before["spec"]


def test_uninstalling_takes_it_out_whatever_the_annotation_says():
    verdict = decide(Seen(injected(), [tracing()], reverting=True))
    assert (verdict.action, verdict.reason) == (Action.REVERT, Reason.UNINSTALLING)


def test_a_refusal_leaves_what_is_in_place():
    live = injected()
    live["metadata"]["annotations"] = {**OPT_IN, "grpctracing.dev/containers": "gone"}
    verdict = decide(Seen(live, [tracing()]))
    assert (verdict.action, verdict.state, verdict.reason) == (Action.NOTHING, State.SKIPPED, Reason.UNKNOWN_CONTAINER)


def test_an_own_endpoint_is_told_where_no_span_comes():
    live = injected(containers=[container(env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://mine:4317"})])
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in decide(Seen(live, [tracing()], spans_seen=False)).message


@pytest.mark.parametrize("manager", ["ancient-changes", "kubectl-rollout"])
def test_ours_is_found_where_the_books_name_a_copier(manager):
    live = injected()
    for record in live["metadata"]["managedFields"]:
        if record["manager"] == "grpctracing":
            record["manager"] = manager
    live["metadata"]["annotations"] = NO
    verdict = decide(Seen(live, [tracing()]))
    assert apply_patch(live, verdict.patch)["spec"] == deployment()["spec"]


def test_a_name_that_the_user_has_applied_since_is_theirs():
    live = injected()
    applied = {
        "spec": {"template": {"spec": {"containers": [container(env={"OTEL_PROPAGATORS": "tracecontext,baggage"})]}}}
    }
    live["metadata"]["annotations"] = {
        **NO,
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied),
    }
    after = apply_patch(live, decide(Seen(live, [tracing()])).patch)
    env = after["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "OTEL_PROPAGATORS", "value": "tracecontext,baggage"}]


@pytest.mark.parametrize(
    "theirs",
    [
        pytest.param({"env": {"GRPCTRACING_LOG": "debug"}}, id="the documented switch for more logs"),
        pytest.param({"env": {"PYTHONPATH": "/grpctracing:/app"}}, id="code of their own in a folder of that name"),
        pytest.param(
            {
                "containers": [
                    container(volumeMounts=[{"name": "grpctracing-bootstrap", "mountPath": "/grpctracing"}]),
                ],
                "volumes": [{"name": "grpctracing-bootstrap", "emptyDir": {}}],
            },
            id="a volume of their own of that name",
        ),
    ],
)
def test_what_only_looks_like_ours_is_left_to_its_user(theirs):
    untouched = decide(Seen(deployment(**theirs), [tracing()]))
    assert (untouched.action, untouched.patch) == (Action.NOTHING, None)
    given = deployment(annotations={**OPT_IN, "grpctracing.dev/bootstrap": "false"}, **theirs)
    after = inject(given, decide(Seen(given, [tracing()])).patch)
    assert decide(Seen(after, [tracing()])).patch is None, "once is enough"
    after["metadata"]["annotations"] = NO
    assert inject(after, decide(Seen(after, [tracing()])).patch)["spec"] == given["spec"]


def test_a_pythonpath_that_begins_like_ours_is_given_back_as_it_was():
    given = deployment(annotations=OPT_IN, env={"PYTHONPATH": "/grpctracing:/app"})
    after = inject(given, decide(Seen(given, [tracing()])).patch)
    env = {entry["name"]: entry.get("value") for entry in after["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["PYTHONPATH"] == "/grpctracing:/grpctracing:/app"
    after["metadata"]["annotations"] = NO
    assert inject(after, decide(Seen(after, [tracing()])).patch)["spec"] == given["spec"]


def test_a_user_is_told_which_of_their_variables_win():
    theirs = container("app", env={"OTEL_TRACES_SAMPLER": "always_on", "LOG_LEVEL": "info"})
    verdict = decide(Seen(injected(containers=[theirs]), [tracing()], spans_seen=True))
    assert verdict.message.endswith("Kept as you set them, also where spec says otherwise: app: OTEL_TRACES_SAMPLER.")
