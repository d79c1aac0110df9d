"""StatefulSets and DaemonSets under strategy Patch on a real node: traced, proved and given back as the real controllers do it."""

from __future__ import annotations

import pytest

from examples.demo.scenario import INJECT, containers, injected
from examples.demo.wait import eventually
from tests.e2e.calls import AT_WORK, called, only, tracing
from tests.e2e.test_admission import PLAIN, ready, workload
from tests.e2e.test_guard import SENSITIVE

KINDS = ("statefulset", "daemonset")
CRASHING = "payment-statefulset"


@pytest.mark.timeout(600, func_only=True)
def test_stateful_sets_and_daemon_sets_are_traced_and_given_back(production, jaeger, fresh):
    crashing = workload("statefulset", fresh.namespace, PLAIN)
    crashing["spec"]["replicas"] = 2
    containers(crashing)[0]["command"] = ["python3", "-c", SENSITIVE]
    fresh.kubectl.apply(crashing, tracing(fresh.namespace))
    production.kubectl.apply(*(workload(kind, production.namespace, PLAIN) for kind in KINDS))
    try:
        settled(fresh, "statefulset", pods=2)
        before = {kind: spec(production, kind) for kind in KINDS}
        alone = spec(fresh, "statefulset")
        annotate(fresh, "statefulset", "true")  # its pod crashes while the others are looked at
        for kind in KINDS:
            annotate(production, kind, "true")
        production.wait_state(AT_WORK, *map(name, KINDS), within=120)
        for kind in KINDS:
            address = settled(production, kind, carrying=True)
            call = (f"--payment={address}:50051", "--call=payment.ProcessPayment")
            (trace,) = called(production, jaeger, *call, spans=3)
            span = only(trace, name(kind), "server")
            assert span.resource[f"k8s.{kind}.name"] == name(kind)
        production.wait_state({"Instrumented"}, *map(name, KINDS), within=90)
        for kind in KINDS:
            annotate(production, kind, "false")
        for kind in KINDS:
            settled(production, kind, carrying=False)
            assert spec(production, kind) == before[kind]

        fresh.wait_state({"Degraded"}, CRASHING, within=240)
        settled(fresh, "statefulset", pods=2, carrying=False)
        assert spec(fresh, "statefulset") == alone
        (record,) = fresh.tracing()["status"]["reverted"]
        assert (record["kind"], record["name"]) == ("StatefulSet", CRASHING)
        assert "ended with exit code 3, Error" in record["evidence"]
    finally:
        for kind in KINDS:
            production.kubectl("delete", kind, name(kind), "--namespace", production.namespace, "--wait")


def name(kind):
    return f"payment-{kind}"


def spec(scenario, kind):
    return scenario.kubectl.get(kind, name(kind), scenario.namespace)["spec"]


def annotate(scenario, kind, value):
    scenario.kubectl(
        "annotate", kind, name(kind), "--namespace", scenario.namespace, "--overwrite", f"{INJECT}={value}"
    )


def settled(scenario, kind, *, pods=1, carrying=False):
    """Wait until all pods of the workload are there, ready, and with or without the injection; return the address of one."""

    def standing():
        found = scenario.kubectl.items("pods", scenario.namespace, f"app={name(kind)}")
        right = [pod for pod in found if injected({"spec": {"template": pod}}) is carrying]
        return len(found) == len(right) == pods and all(map(is_ready, right)) and ready(scenario, kind)

    what = f"{pods} pods of {name(kind)} in {scenario.namespace} {'with' if carrying else 'without'} the injection"
    return eventually(standing, within=180, every=1, what=what, tell=scenario.trouble)


def is_ready(pod):
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ()))
