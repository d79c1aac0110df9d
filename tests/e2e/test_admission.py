"""The admission strategy on a real node: pods of six kinds are traced while the operator is away, and no workload is written.

One image has its code where only its own PYTHONPATH says, and does not start without. Both are looked into beforehand.
"""

import json

import pytest

from examples.demo.scenario import OPERATOR_NAMESPACE
from examples.demo.wait import eventually
from tests.e2e.calls import application, called, only, tracing

OPERATOR = "grpctracing-grpctracing-operator"
SELECTOR = "app.kubernetes.io/name=grpctracing-operator,app.kubernetes.io/component=operator"
KINDS = {
    "deployment": "apps/v1",
    "statefulset": "apps/v1",
    "daemonset": "apps/v1",
    "job": "batch/v1",
    "pod": "v1",
    "cronjob": "batch/v1",  # last: its first pod comes with the next minute
}
PLAIN, WITH_PATH = "grpctracing/example-payment:dev", "grpctracing/test-image-path:dev"
IMAGE = dict.fromkeys(KINDS, PLAIN) | {"deployment": WITH_PATH, "job": WITH_PATH}
CAMEL = {"statefulset": "StatefulSet", "daemonset": "DaemonSet", "cronjob": "CronJob"}


@pytest.mark.timeout(900, func_only=True)
def test_pods_of_six_kinds_are_traced_while_the_operator_is_away(production, jaeger, fresh):
    operator = production.within(OPERATOR_NAMESPACE)
    operator.install(admissionStrategy="true")
    try:
        for number, image in enumerate((PLAIN, WITH_PATH)):
            fresh.kubectl.apply(workload("pod", fresh.namespace, image, f"known-{number}"))
        spec = {"selector": {}, "rollout": {"strategy": "Admission"}, "preflight": "Auto"}
        fresh.trace(tracing(fresh.namespace, **spec))
        for image in (PLAIN, WITH_PATH):
            probe = workload("pod", fresh.namespace, image)
            eventually(lambda probe=probe: admitted(fresh, probe), within=180, every=1, what=image, tell=fresh.tracing)
        operator.install(admissionStrategy="true", replicas="0")
        eventually(lambda: not operators(operator), within=120, every=1, what="the operator is gone")
        fresh.kubectl.apply(*(workload(kind, fresh.namespace, IMAGE[kind]) for kind in KINDS))
        for kind in KINDS:
            address = eventually(
                lambda kind=kind: ready(fresh, kind), within=180, every=1, what=kind, tell=fresh.trouble
            )
            call = (f"--payment={address}:50051", "--call=payment.ProcessPayment")
            (trace,) = called(production, jaeger, *call, spans=3)
            only(trace, f"payment-{kind}", "server")
        assert not operators(operator)
        for kind in KINDS:
            command = ("get", kind, f"payment-{kind}", "--namespace", fresh.namespace, "--show-managed-fields")
            managers = {record["manager"] for record in fresh.kubectl.json(*command)["metadata"]["managedFields"]}
            assert "grpctracing" not in managers, kind
    finally:
        operator.install(admissionStrategy="true")
        operator.wait_settled(OPERATOR)
        fresh.forget()
        operator.install()
        operator.wait_settled(OPERATOR)


def workload(kind, namespace, image, name=""):
    """A payment service of this kind, called after it."""
    deployment = application(namespace=namespace, inject=False, image=image)[0]
    name = name or f"payment-{kind}"
    labels = {"app": name}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    pod = deployment["spec"]["template"]["spec"]
    pod["securityContext"]["runAsUser"] = 10001
    made = {"apiVersion": KINDS[kind], "kind": CAMEL.get(kind, kind.title()), "metadata": metadata}
    if kind == "pod":
        return {**made, "spec": pod}
    template = {"metadata": {"labels": labels}, "spec": pod}
    if kind in {"job", "cronjob"}:
        job = {"template": {**template, "spec": {**pod, "restartPolicy": "Never"}}}
        timed = {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job}}
        return {**made, "spec": timed if kind == "cronjob" else job}
    service = {"serviceName": name} if kind == "statefulset" else {}
    return {**made, "spec": {"selector": {"matchLabels": labels}, "template": template, **service}}


def admitted(scenario, pod):
    """Whether the pod would come through the policy."""
    return "GRPCTRACING_POD_NAME" in scenario.kubectl(
        "create", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(pod)
    )


def operators(operator):
    """The operator's pods."""
    return operator.kubectl.items("pods", OPERATOR_NAMESPACE, SELECTOR)


def ready(scenario, kind):
    """The address of the workload's pod, once it serves."""
    for pod in scenario.kubectl.items("pods", scenario.namespace, f"app=payment-{kind}"):
        conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
        if conditions.get("Ready") == "True":
            return pod["status"]["podIP"]
    return None
