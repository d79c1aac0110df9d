"""Real images, looked into by real pods in a namespace that enforces restricted pod security; each then as the verdict says."""

from __future__ import annotations

import json

import pytest

from examples.demo.scenario import INJECT, containers
from examples.demo.wait import eventually
from tests.e2e.calls import (
    AT_WORK,
    SAMPLED,
    application,
    called,
    only,
    own_namespace,
    pods_of,
    traces_of,
    tracing,
    unique,
)

IMAGES = {
    "plain": "example-payment",
    "image-path": "test-image-path",
    "no-python": "test-nopython",
    "python27": "test-python27",
    "no-grpcio": "test-nogrpcio",
    "contrib": "test-contrib",
}


@pytest.fixture(scope="module")
def probed(production):
    """Return the tools of a namespace with one Deployment for each of IMAGES, at rest before and after it is traced."""
    with own_namespace(production) as scenario:
        for name, image in IMAGES.items():
            scenario.kubectl.apply(*service(name, image, scenario.namespace))
        scenario.wait_settled(*IMAGES)
        before = {name: pods(scenario, name) for name in IMAGES}
        scenario.kubectl.apply(tracing(scenario.namespace, preflight="Auto", selector={}))
        eventually(
            lambda: (
                listed(scenario).keys() == IMAGES.keys()
                and all(each["state"] in {*AT_WORK, "Skipped"} for each in listed(scenario).values())
            ),
            within=150,
            what="a verdict on each image",
            tell=lambda: str(listed(scenario)),
        )
        scenario.wait_settled(*IMAGES)
        yield scenario, before


def service(name, image, namespace):
    """Return payment's Deployment and Service under another name and with another image, opted in by nobody."""
    objects = application(namespace=namespace, inject=False, image=f"grpctracing/{image}:dev")
    port = 50051 if image in {"example-payment", "test-image-path", "test-contrib"} else 8080
    for found in objects:
        found["metadata"] |= {"name": name, "labels": {"app": name}}
        if found["kind"] == "Service":
            found["spec"]["selector"] = {"app": name}
            continue
        found["spec"]["selector"] = {"matchLabels": {"app": name}}
        found["spec"]["template"]["metadata"]["labels"] = {"app": name}
        found["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = 10001
        containers(found)[0]["ports"] = [{"name": "grpc", "containerPort": port}]
    return objects


def listed(scenario):
    """Return the workloads in the status of the GrpcTracing by name."""
    status = scenario.kubectl.get("gtr", "default", scenario.namespace).get("status", {})
    return {each["name"]: each for each in status.get("workloads", ())}


def pods(scenario, name):
    return set(pods_of(scenario, name))


def environment(scenario, name):
    """Return the literal variables of a Deployment's container."""
    return {each["name"]: each.get("value") for each in containers(scenario.deployment(name))[0].get("env", ())}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param("plain", "/grpctracing", id="plain"),
        pytest.param("image-path", "/grpctracing/:/srv/code", id="whose code is only on the image's own PYTHONPATH"),
    ],
)
def test_calls_are_traced_of_an_image(probed, production, jaeger, name, path):
    scenario, _ = probed
    assert environment(scenario, name)["PYTHONPATH"] == path
    client = unique("client")
    production.load(f"--payment={name}.{scenario.namespace}:50051", "--ok=3", service=client, environment=SAMPLED)
    traces = traces_of(
        jaeger, client, lambda found: len(found) == 3 and sum(map(len, found)) == 9, what=f"three calls of {name}"
    )
    assert all(only(each, name, "server").resource["k8s.namespace.name"] == scenario.namespace for each in traces)


def test_an_image_without_python_gets_variables_only(probed):
    scenario, _ = probed
    assert listed(scenario)["no-python"]["reason"] == "NotPython"
    made = environment(scenario, "no-python")
    assert made["OTEL_SERVICE_NAME"] == "no-python"
    assert "PYTHONPATH" not in made
    assert "volumes" not in scenario.deployment("no-python")["spec"]["template"]["spec"]


@pytest.mark.parametrize(("name", "reason"), [("python27", "PythonTooOld"), ("no-grpcio", "NoGrpcio")])
def test_an_image_that_has_no_use_for_it_is_left_alone(probed, name, reason):
    scenario, before = probed
    assert listed(scenario)[name]["reason"] == reason
    assert pods(scenario, name) == before[name], "nobody was restarted"
    assert environment(scenario, name) == {}


def test_an_application_that_traces_grpc_itself_keeps_its_spans_and_gets_none_of_ours_besides(
    probed, production, jaeger
):
    scenario, _ = probed
    assert listed(scenario)["contrib"]["state"] in AT_WORK
    assert environment(scenario, "contrib")["PYTHONPATH"] == "/grpctracing"
    (trace,) = called(production, jaeger, f"--payment=contrib.{scenario.namespace}:50051", "--ok=1", spans=1)
    client = only(trace, "client", "client")
    written = scenario.kubectl("logs", "deployment/contrib", "--namespace", scenario.namespace).splitlines()
    (server,) = [span for span in map(json.loads, written_spans(written)) if span["kind"] == "SpanKind.SERVER"]
    assert (server["context"]["trace_id"], server["parent_id"]) == (f"0x{client.trace_id}", f"0x{client.span_id}")
    assert [line for line in written if "grpctracing: standing down" in line]


def written_spans(lines):
    """Return what an SDK has written to standard output."""
    return [line for line in lines if line.startswith("{")]


def test_the_pods_that_looked_are_gone_and_the_way_back_is_exact(probed):
    scenario, _ = probed
    assert not scenario.kubectl.items("pods", scenario.namespace, "app.kubernetes.io/component=preflight")
    for name in ("image-path", "no-python"):
        scenario.annotate(name, f"{INJECT}=false")
    for name in ("image-path", "no-python"):
        eventually(lambda name=name: environment(scenario, name) == {}, within=60, what=f"{name} as it was")
