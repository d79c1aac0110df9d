"""The operator at rest: however often it looks, it writes nothing where nothing is to do."""

import pytest

from examples.demo.scenario import OPERATOR_NAMESPACE, SERVICES
from examples.demo.wait import eventually

OPERATOR = "grpctracing-grpctracing-operator"
SELECTOR = "app.kubernetes.io/name=grpctracing-operator,app.kubernetes.io/component=operator"
RESYNCS = 6  # an hour's worth at the default of 600 s


@pytest.mark.timeout(600, func_only=True)
def test_ten_restarts_of_the_operator_write_nothing_to_any_deployment(production):
    before = versions(production)
    operator = production.within(OPERATOR_NAMESPACE)
    for _ in range(10):
        operator.kubectl("delete", "pod", "--namespace", OPERATOR_NAMESPACE, "--selector", SELECTOR, "--wait")
        operator.wait_settled(OPERATOR)
        eventually(
            lambda: looks(operator) >= len(SERVICES), within=60, what="every Deployment looked at", errors=(ValueError,)
        )
        assert metric(operator, "grpctracing_deployment_writes_total") == 0
    assert versions(production) == before


@pytest.mark.timeout(600, func_only=True)
def test_an_hours_worth_of_resyncs_writes_nothing_to_any_deployment(production):
    before = versions(production)
    operator = production.within(OPERATOR_NAMESPACE)
    operator.install(resyncSeconds="10")
    try:
        operator.wait_settled(OPERATOR)
        eventually(
            lambda: looks(operator) >= (1 + RESYNCS) * len(SERVICES), within=180, every=2, what=f"{RESYNCS} resyncs"
        )
        assert metric(operator, "grpctracing_deployment_writes_total") == 0
        assert versions(production) == before
    finally:
        operator.install()
    operator.wait_settled(OPERATOR)


def versions(production):
    """Return generation and resourceVersion of every Deployment in production, once all are at rest."""
    production.wait_settled(*SERVICES)
    return {
        each["metadata"]["name"]: (each["metadata"]["generation"], each["metadata"]["resourceVersion"])
        for each in production.kubectl.items("deployments", "production")
    }


def looks(operator):
    """Return how many times the operator has reconciled a Deployment."""
    return metric(operator, "grpctracing_reconciles_total", 'controller="workload"')


def metric(operator, name, label=""):
    """Return the sum of the operator's metric *name*, of the series with *label*."""
    pods = operator.kubectl.items("pods", OPERATOR_NAMESPACE, SELECTOR)
    (pod,) = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    text = operator.kubectl.raw(
        f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
    )
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name) and label in line)
