"""What the preflight found decides about pods that come through a policy, too: on a real API server, beside what a patch would make of them."""

from __future__ import annotations

import pytest

from grpctracing.injection import plan, policies
from grpctracing.injection.containers import Refusal
from grpctracing.injection.findings import Report
from grpctracing.injection.known import MOST, known
from grpctracing.injection.records import record
from grpctracing.injection.select import as_pod
from tests.api.admission import env_of, install, made, pod_of, uninstall, wait_until_in_force
from tests.api.rest import Rest
from tests.unit.injection.builders import container, deployment, tracing

pytestmark = pytest.mark.api

NAMESPACE = "admission-images"
TRACING = tracing(
    spec={"selector": {}, "rollout": {"strategy": "Admission"}, "sampler": {"argument": "0.1"}}, namespace=NAMESPACE
)
PYTHON = {"python": (3, 12), "grpcio": "1.85.1"}
REPORTS = {
    "registry:5000/shop/plain:1": Report(**PYTHON),
    "registry:5000/shop/own:1": Report(**PYTHON, variables=frozenset({"OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME"})),
    "go:1": Report(),
    "python:2.7": Report(python=(2, 7), grpcio="1.39"),
    "django": Report(python=(3, 12)),
    "agent@sha256:12": Report(**PYTHON, agents=(("ddtrace", "4.1"),)),
    "registry:5000/shop/path:0": Report(**PYTHON, pythonpath="/old"),
    "registry:5000/shop/path:1": Report(**PYTHON, pythonpath="/srv/app:/srv/$(lib)"),
    "x": Report(**PYTHON),  # what `wait_until_in_force` asks with
}


def entries(reports, **more):
    """The preflight's ConfigMap, an entry per second."""
    found = {f"{n}": record(r, image, f"2026-11-29T00:{n:02}:00Z", **more) for n, (image, r) in enumerate(reports)}
    return {"data": found}


@pytest.fixture(scope="module")
def rest(control_plane):
    client = Rest(control_plane)
    client.ok("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    hidden = entries([("hidden:1", Report(**PYTHON, pythonpath="/of/the/container"))], sets_path=True)["data"]["0"]
    records = entries(REPORTS.items())
    records["data"] |= {"unreadable": "{", "hidden": hidden}
    written = policies(TRACING, [TRACING], images=known(records))
    install(client, written)
    wait_until_in_force(client, TRACING)
    yield client
    uninstall(client, written)


def given(image, **parts):
    made_here = deployment(containers=[container("app", image=image, **parts)])
    made_here["metadata"]["namespace"] = NAMESPACE
    return made_here


def through(rest, workload):
    return made(rest, NAMESPACE, pod_of(workload))


def by_patch(workload, report):
    """Env and volume that the other strategy would add."""
    try:
        wanted = plan(as_pod(workload), TRACING, probed={"app": report}, by_policy=True)
    except Refusal:
        return {}, None
    (only,) = wanted.containers
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in only.env}, wanted.volume


ENVS = [{}, {"PYTHONPATH": "/mine"}, {"OTEL_TRACES_SAMPLER": "always_off"}]


@pytest.mark.parametrize("env", ENVS, ids=["nothing set", "PYTHONPATH set", "sampler set"])
@pytest.mark.parametrize("bootstrap", [None, "true", "false"])
@pytest.mark.parametrize("image", REPORTS)
def test_a_pod_gets_what_a_patch_would_give_it(rest, image, bootstrap, env):
    workload = given(image, env=env)
    if bootstrap:
        workload["spec"]["template"]["metadata"]["annotations"] = {"grpctracing.dev/bootstrap": bootstrap}
    ours, volume = by_patch(workload, REPORTS[image])
    pod = through(rest, workload)
    assert env_of(pod) == env | ours
    assert bool(pod["spec"].get("volumes")) is bool(volume)


def test_what_the_image_puts_on_its_path_stays_importable(rest):
    env = env_of(through(rest, given("registry:5000/shop/path:1")))
    assert env["PYTHONPATH"] == "/grpctracing/:/srv/app:/srv/$$(lib)"


@pytest.mark.parametrize(
    "image", ["registry:5000/shop/path:2", "registry:5000/shop/path@sha256:ab", "registry:5000/shop/path"]
)
def test_another_tag_of_a_repository_is_like_the_last_one(rest, image):
    assert "/srv/app" in env_of(through(rest, given(image)))["PYTHONPATH"]


@pytest.mark.parametrize(
    "image", ["registry:5000/other:1", "registry:5000/shop/path-2:1", "shop/path:1", "hidden:1", "python:3.13"]
)
def test_a_pod_of_an_image_that_nobody_has_looked_into_is_left_alone(rest, image):
    pod = through(rest, given(image))
    assert not env_of(pod)
    assert not pod["spec"].get("volumes")


def test_a_path_that_hides_the_images_makes_it_no_matter_what_that_is(rest):
    env = env_of(through(rest, given("hidden:1", env={"PYTHONPATH": "/mine"})))
    assert env["PYTHONPATH"] == "/grpctracing:/mine"


def test_one_container_may_be_known_and_the_other_not(rest):
    workload = deployment(containers=[container("app", image="new"), container("web", image="x")])
    pod = through(rest, workload)
    assert not env_of(pod, 0)
    assert not pod["spec"]["containers"][0].get("volumeMounts")
    assert env_of(pod, 1)["PYTHONPATH"] == "/grpctracing"


def test_more_images_than_an_expression_holds_are_unknown_and_the_newest_are_not(rest):
    many = [(f"registry.example/team/{'x' * 100}-{n:04}:1", Report(**PYTHON)) for n in range(1000)]
    many.append(("x", Report(**PYTHON)))
    data = {f"{n}": record(report, image, f"{n:06}") for n, (image, report) in enumerate(many)}
    crowded = tracing("crowded", spec={"rollout": {"strategy": "Admission"}}, namespace=NAMESPACE)
    written = policies(crowded, [crowded], images=known({"data": data}))
    assert max(len(each["expression"]) for each in written[0]["spec"]["variables"]) < MOST + 100
    install(rest, written)
    wait_until_in_force(rest, crowded)
    for image, wanted in ((many[0][0], False), (many[-2][0], True)):
        workload = given(image)
        workload["spec"]["template"]["metadata"]["annotations"] = {"grpctracing.dev/inject": "crowded"}
        assert bool(env_of(through(rest, workload))) is wanted
    uninstall(rest, written)
