"""What the preflight means: who gets what, who waits, who is left alone, and what is said."""

from __future__ import annotations

import pytest

from grpctracing.injection import Action, Reason, Seen, State, build, decide, plan
from grpctracing.injection.findings import Failure, Report
from tests.unit.injection.builders import OPT_IN, container, deployment, healthy, tracing
from tests.unit.injection.server import apply_patch, inject

GRPC = Report((3, 11), "1.60.0")
OF_IMAGE = Report((3, 11), "1.60.0", pythonpath="/image/lib")
INSISTS = {**OPT_IN, "grpctracing.dev/bootstrap": "true"}
REFUSED = Failure("exceeded quota: pods")
UNPULLED = Failure("ImagePullBackOff: not there", unpullable=True)


def seen(probed, given=None, object_=None, **more):
    if not isinstance(probed, dict) and probed is not None:
        probed = {"app": probed}
    return Seen(given or deployment(annotations=OPT_IN), [object_ or tracing()], probed=probed, **more)


def env(deployment_, name="app"):
    made = next(item for item in deployment_["spec"]["template"]["spec"]["containers"] if item["name"] == name)
    return {entry["name"]: entry.get("value") for entry in made.get("env", ())}


def injected(finding, given=None):
    given = given or deployment(annotations=OPT_IN)
    after = inject(given, build(given, plan(given, tracing(), probed={"app": finding})))
    return {**after, "status": healthy()}


@pytest.mark.parametrize(
    ("finding", "action", "state", "reason"),
    [
        pytest.param(GRPC, Action.INJECT, State.PROGRESSING, Reason.PATCHING, id="Python with grpcio"),
        pytest.param(Report(), Action.INJECT, State.PROGRESSING, Reason.PATCHING, id="no Python: variables only"),
        pytest.param(Report((2, 7)), Action.NOTHING, State.SKIPPED, Reason.PYTHON_TOO_OLD, id="Python 2.7"),
        pytest.param(Report((3, 7), "1.48.0"), Action.NOTHING, State.SKIPPED, Reason.PYTHON_TOO_OLD, id="Python 3.7"),
        pytest.param(Report((3, 8), "1.48.0"), Action.INJECT, State.PROGRESSING, Reason.PATCHING, id="Python 3.8"),
        pytest.param(Report((3, 11)), Action.NOTHING, State.SKIPPED, Reason.NO_GRPCIO, id="no grpcio"),
        pytest.param(
            Report((3, 11), elsewhere="/opt/venv/lib/grpc"),
            Action.INJECT,
            State.PROGRESSING,
            Reason.PATCHING,
            id="grpcio where another interpreter finds it",
        ),
        pytest.param(
            Report((3, 11), "1.60.0", agents=(("ddtrace", "2.1"),)),
            Action.NOTHING,
            State.SKIPPED,
            Reason.ALREADY_INSTRUMENTED,
            id="ddtrace",
        ),
        pytest.param(
            Report((3, 11), "1.60.0", agents=(("opentelemetry-instrumentation-grpc", "0.60b0"),)),
            Action.INJECT,
            State.PROGRESSING,
            Reason.PATCHING,
            id="contrib is joined by the bootstrap itself",
        ),
        pytest.param(REFUSED, Action.INJECT, State.PROGRESSING, Reason.PATCHING, id="not to be probed: as with Never"),
        pytest.param(UNPULLED, Action.NOTHING, State.SKIPPED, Reason.PREFLIGHT_FAILED, id="no new pod could start"),
    ],
)
def test_verdicts(finding, action, state, reason):
    verdict = decide(seen(finding))
    assert (verdict.action, verdict.state, verdict.reason) == (action, state, reason)
    assert verdict.probe == ()


def test_an_image_that_nobody_has_looked_into_is_looked_into_first():
    verdict = decide(seen({"app": None}))
    assert (verdict.action, verdict.state, verdict.reason, verdict.probe) == (
        Action.WAIT,
        State.PENDING,
        Reason.PROBING,
        ("app",),
    )
    assert decide(seen(None)).action is Action.INJECT, "preflight: Never"


def test_a_container_without_python_gets_variables_and_nothing_is_mounted():
    given = deployment(annotations=OPT_IN)
    after = apply_patch(given, decide(seen(Report(), given)).patch)
    (made,) = after["spec"]["template"]["spec"]["containers"]
    assert env(after)["OTEL_SERVICE_NAME"] == "payment-service"
    assert "PYTHONPATH" not in env(after)
    assert "volumeMounts" not in made
    assert "volumes" not in after["spec"]["template"]["spec"]
    told = decide(seen(Report(), {**after, "status": healthy()}, spans_seen=False))
    assert (told.state, told.reason) == (State.INJECTED, Reason.NOT_PYTHON)
    assert decide(seen(Report(), {**after, "status": healthy()}, spans_seen=True)).reason is Reason.SPANS_SEEN


def test_what_the_image_has_on_its_path_stays_importable_and_going_back_removes_it():
    given = deployment(annotations=OPT_IN)
    live = injected(OF_IMAGE, given)
    assert env(live)["PYTHONPATH"] == "/grpctracing/:/image/lib"
    assert decide(seen(OF_IMAGE, live)).patch is None, "once is enough"
    back = decide(Seen(live, [tracing()], reverting=True))
    assert apply_patch(live, back.patch)["spec"] == given["spec"]


def test_the_deployments_own_path_hides_the_images_as_it_did():
    given = deployment(annotations=OPT_IN, env={"PYTHONPATH": "/app"})
    live = injected(OF_IMAGE, given)
    assert env(live)["PYTHONPATH"] == "/grpctracing:/app"
    back = decide(Seen(live, [tracing()], reverting=True))
    assert apply_patch(live, back.patch)["spec"] == given["spec"]


def test_a_dollar_in_the_images_path_means_itself():
    assert env(injected(Report((3, 11), "1.60.0", pythonpath="/$(HOME)")))["PYTHONPATH"] == "/grpctracing/:/$$(HOME)"


def test_variables_that_the_image_sets_are_the_users():
    finding = Report(
        (3, 11), "1.60.0", variables=frozenset({"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES"})
    )
    made = env(injected(finding))
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in made
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" not in made
    assert "OTEL_RESOURCE_ATTRIBUTES" not in made
    assert "GRPCTRACING_RESOURCE_ATTRIBUTES" in made


def test_while_a_new_image_is_looked_into_what_is_in_place_stays():
    live = injected(OF_IMAGE)
    verdict = decide(seen({"app": None}, live, spans_seen=True))
    assert (verdict.state, verdict.reason, verdict.patch, verdict.probe) == (
        State.INSTRUMENTED,
        Reason.SPANS_SEEN,
        None,
        ("app",),
    )
    other = tracing(spec={"resourceAttributes": {"team": "shop"}})
    held = decide(seen({"app": None}, live, other))
    assert (held.action, held.reason) == (Action.WAIT, Reason.PROBING), "no patch before the image is known"


def test_a_new_image_with_another_path_is_patched_once_it_is_known():
    live = injected(OF_IMAGE)
    after = apply_patch(live, decide(seen(Report((3, 11), "1.60.0", pythonpath="/other"), live)).patch)
    assert env(after)["PYTHONPATH"] == "/grpctracing/:/other"
    plain = apply_patch(live, decide(seen(GRPC, live)).patch)
    assert env(plain)["PYTHONPATH"] == "/grpctracing"


@pytest.mark.parametrize("finding", [Report(), Report((2, 7)), Report((3, 11))], ids=["no Python", "2.7", "no grpcio"])
def test_nobody_is_restarted_to_take_out_what_stands_aside(finding):
    live = injected(GRPC)
    assert decide(seen(finding, live)).patch is None


@pytest.mark.parametrize("finding", [Report(), Report((2, 7)), Report((3, 11))], ids=["no Python", "2.7", "no grpcio"])
def test_a_user_who_insists_gets_the_bootstrap(finding):
    given = deployment(annotations=INSISTS)
    verdict = decide(seen(finding, given))
    assert verdict.action is Action.INJECT
    assert "PYTHONPATH" in env(apply_patch(given, verdict.patch))


def test_one_container_of_two_is_left_out_and_named():
    given = deployment(annotations=OPT_IN, containers=[container(), container("worker")])
    verdict = decide(seen({"app": GRPC, "worker": Report((3, 11))}, given))
    assert verdict.containers == ("app",)
    assert 'container "worker" has no grpcio' in verdict.message
    assert "env" not in apply_patch(given, verdict.patch)["spec"]["template"]["spec"]["containers"][1]


def test_a_mixed_pod_mounts_the_bootstrap_where_python_is():
    given = deployment(annotations=OPT_IN, containers=[container(), container("go")])
    after = apply_patch(given, decide(seen({"app": GRPC, "go": Report()}, given)).patch)
    python, go = after["spec"]["template"]["spec"]["containers"]
    assert "volumeMounts" in python
    assert "volumeMounts" not in go
    assert "OTEL_SERVICE_NAME" in env(after, "go")
    assert decide(seen({"app": GRPC, "go": Report()}, after)).patch is None
    back = decide(Seen(after, [tracing()], reverting=True))
    assert apply_patch(after, back.patch)["spec"] == given["spec"]


def test_what_could_not_be_found_out_is_said_and_what_to_do():
    for verdict in (decide(seen(REFUSED)), decide(seen(REFUSED, injected(REFUSED), spans_seen=True))):
        assert "exceeded quota: pods" in verdict.message
        assert "PYTHONPATH" in verdict.message


def test_without_the_bootstrap_nothing_is_looked_into():
    verdict = decide(seen({"app": None}, object_=tracing(spec={"bootstrap": {"enabled": False}})))
    assert (verdict.action, verdict.probe) == (Action.INJECT, ())


def test_plan_mode_makes_no_pod_and_says_what_it_does_not_know():
    plans = tracing(spec={"rollout": {"mode": "Plan"}})
    unknown, known = decide(seen({"app": None}, object_=plans)), decide(seen(OF_IMAGE, object_=plans))
    assert (unknown.reason, unknown.probe) == (Reason.PLANNED, ())
    assert "looked into" in unknown.message
    assert "looked into" not in known.message
    assert "/grpctracing/:/image/lib" in str(known.patch)
