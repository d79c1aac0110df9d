"""Promise one: whatever happens to what we mount, the application starts and serves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from examples.demo.scenario import INJECT, Scenario, containers
from examples.demo.wait import eventually
from tests.cluster.images import IMAGES
from tests.e2e.calls import AT_WORK, application, own_namespace, pods_of, tracing, unique

CONFIG_MAP = "grpctracing-default-bootstrap"
STUB = "sitecustomize.py"


@pytest.fixture(scope="module")
def bare(production):
    """Return a namespace that no GrpcTracing cares about, so what is broken there stays broken."""
    with own_namespace(production) as scenario:
        yield scenario


@pytest.fixture(scope="module")
def payload(production) -> dict[str, str]:
    """Return the bootstrap as the operator delivers it."""
    return production.kubectl.get("configmap", CONFIG_MAP, "production")["data"]


def broken(key: str, text: str):
    return lambda payload: {**payload, key: text}


@pytest.mark.parametrize(
    "data",
    [
        lambda _payload: None,
        lambda _payload: {},
        broken(STUB, ""),
        broken(STUB, "def broken(:\n"),
        broken(STUB, "raise RuntimeError('torn')\n"),
        broken(STUB, "import no_such_module\n"),
        broken("_grpctracing.hook.py", "def broken(:\n"),
        broken("_grpctracing.pipeline.py", "raise RuntimeError('torn')\n"),
        broken("settings.json", '{"version": 1, "sampler": '),
        lambda payload: {key: text[: len(text) // 2] for key, text in payload.items()},
        lambda payload: {key: text for key, text in payload.items() if "server_sync" not in key},
        dict,
    ],
    ids=[
        "missing", "empty", "empty stub", "stub with a syntax error", "stub that raises", "stub that cannot import", "hook with a syntax error",
        "pipeline that raises", "torn settings", "every file torn", "a module missing", "whole, but no Collector",
    ],
)  # fmt: skip
def test_an_injected_pod_starts_and_serves_although_the_bootstrap_is(production, bare, payload, data):
    pod = injected_pod(production, bare.namespace)
    content = data(payload)
    if content is not None:
        config_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": pod["spec"]["volumes"][0]["configMap"]["name"],
                "namespace": bare.namespace,
            },
            "data": content,
        }
        # not applied: kubectl keeps a copy of what it applies in an annotation, which holds less
        bare.kubectl("create", "--filename=-", stdin=json.dumps(config_map))
    bare.kubectl.apply(pod)
    started = ready(bare, pod["metadata"]["name"])
    assert served(production, f"{started['status']['podIP']}:50051", 20)
    assert restarts(bare, pod["metadata"]["name"]) == 0


@pytest.mark.parametrize("image", ["test-python27", "test-python36", "test-python37", "test-nopython"])
def test_a_container_that_the_bootstrap_cannot_instrument_serves_as_it_did(fresh, image):
    if f"grpctracing/{image}:dev" not in IMAGES:
        pytest.skip("this machine has no Python 3.6, and no package registry has it; test-python37 stands in")
    (deployment, service) = application(
        namespace=fresh.namespace,
        image=f"grpctracing/{image}:dev",
        ports=[{"name": "grpc", "containerPort": 8080}],
    )
    deployment["spec"]["template"]["spec"]["securityContext"]["runAsUser"] = 10001
    fresh.kubectl.apply(deployment, service, tracing(fresh.namespace))
    fresh.wait_state(AT_WORK, "payment-service")
    fresh.wait_settled("payment-service")
    assert "PYTHONPATH" in {entry["name"] for entry in containers(fresh.deployment("payment-service"))[0]["env"]}
    (name,) = pods_of(fresh)
    answer = json.loads(fresh.kubectl.raw(f"/api/v1/namespaces/{fresh.namespace}/pods/{name}:8080/proxy/"))
    if image == "test-nopython":
        assert "PYTHONPATH=/grpctracing" in answer
    else:
        assert (answer["ours"], answer["threads"]) == ([], 1)
    assert restarts(fresh, name) == 0


def test_the_application_serves_while_the_collector_is_away_and_ends_in_time(fresh, production):
    nowhere = {"mode": "External", "external": {"endpoint": "http://nobody-listens:4317"}}
    fresh.kubectl.apply(
        *application(namespace=fresh.namespace),
        tracing(fresh.namespace, collector=nowhere, sampler={"type": "always_on"}),
    )
    fresh.wait_state(AT_WORK, "payment-service")
    fresh.wait_settled("payment-service")
    assert served(production, f"payment-service.{fresh.namespace}:50051", 500)


def test_a_config_map_that_somebody_deletes_or_edits_is_restored(fresh):
    fresh.kubectl.apply(*application(namespace=fresh.namespace), tracing(fresh.namespace))
    fresh.wait_state(AT_WORK, "payment-service")

    def content() -> dict[str, str]:
        found = fresh.kubectl.items("configmaps", fresh.namespace, "app.kubernetes.io/managed-by=grpctracing")
        return next((each["data"] for each in found if each["metadata"]["name"] == CONFIG_MAP), {})

    right = content()
    fresh.kubectl("delete", "configmap", CONFIG_MAP, "--namespace", fresh.namespace)
    eventually(lambda: content() == right, within=30, what="the deleted ConfigMap is back")
    fresh.kubectl(
        "patch",
        "configmap",
        CONFIG_MAP,
        "--namespace",
        fresh.namespace,
        "--type=merge",
        f'--patch={{"data": {{"{STUB}": "evil"}}}}',
    )
    eventually(lambda: content() == right, within=30, what="the edited ConfigMap is right again")


def injected_pod(production: Scenario, namespace: str) -> dict[str, Any]:
    """Return a bare pod with the injected template of payment-service; its ConfigMap is one that it shares with nobody."""
    template = production.deployment("payment-service")["spec"]["template"]
    name = unique("payment")
    spec = {**template["spec"], "terminationGracePeriodSeconds": 1}
    spec["volumes"] = [{**spec["volumes"][0], "configMap": {"name": f"bootstrap-of-{name}", "optional": True}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": {INJECT: "false"}},
        "spec": spec,
    }


def ready(scenario: Scenario, name: str) -> dict[str, Any]:
    """Wait until the pod is Ready and return it."""
    scenario.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--namespace", scenario.namespace, "--timeout=90s")
    return scenario.kubectl.get("pod", name, scenario.namespace)


def restarts(scenario: Scenario, name: str) -> int:
    """Return how often the pod's containers have been restarted."""
    return sum(
        each["restartCount"]
        for each in scenario.kubectl.get("pod", name, scenario.namespace)["status"]["containerStatuses"]
    )


def served(production: Scenario, target: str, calls: int) -> bool:
    """Whether every one of *calls* to *target* is answered."""
    return production.load(f"--payment={target}", f"--ok={calls}")["calls"] == {"payment.ProcessPayment": {"OK": calls}}
