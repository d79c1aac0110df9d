"""The ways back: each gives the pod template that was there before, so the old ReplicaSet returns, and leaves nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from examples.demo.scenario import INJECT, OPERATOR_NAMESPACE, OURS, SERVICES, Scenario
from examples.demo.wait import eventually
from tests.e2e.calls import AT_WORK, application, tracing

KINDS = (
    "deployments,replicasets,pods,configmaps,services,serviceaccounts,poddisruptionbudgets,secrets,roles,rolebindings"
)


@dataclass(frozen=True)
class Traced:
    """An application of its own namespace that is traced now, and what it was *before*."""

    scenario: Scenario
    before: dict[str, Any]
    hash_before: str

    def is_as_before(self) -> bool:
        """Whether the Deployment is what it was: template, annotations but for the user's own switch, labels, hash."""
        now = self.scenario.deployment("payment-service")
        return now["spec"] == self.before["spec"] and user_part(now) == user_part(self.before)


@pytest.fixture
def traced(fresh):
    namespace = fresh.namespace
    fresh.kubectl.apply(
        *application(namespace=namespace, inject=False, env=[{"name": "PYTHONPATH", "value": "/app/extra"}])
    )
    fresh.wait_settled("payment-service")
    before, hash_before = fresh.deployment("payment-service"), fresh.template_hash("payment-service")
    fresh.annotate("payment-service", f"{INJECT}=true")
    fresh.kubectl.apply(tracing(namespace, collector={"mode": "Managed"}))
    fresh.wait_state(AT_WORK, "payment-service")
    assert fresh.template_hash("payment-service") != hash_before
    return Traced(fresh, before, hash_before)


def test_opting_out_brings_the_old_replica_set_back(traced):
    traced.scenario.annotate("payment-service", f"{INJECT}=false")
    eventually(traced.is_as_before, within=60, what="the Deployment as it was")
    traced.scenario.wait_settled("payment-service")
    assert traced.scenario.template_hash("payment-service") == traced.hash_before


def test_removing_the_annotation_is_opting_out_too(traced):
    traced.scenario.annotate("payment-service", f"{INJECT}-")
    eventually(traced.is_as_before, within=60, what="the Deployment as it was")
    assert (
        eventually(lambda: traced.scenario.template_hash("payment-service"), within=10, what="hash")
        == traced.hash_before
    )


def test_deleting_the_object_brings_the_old_replica_set_back_and_leaves_nothing_of_ours(traced):
    traced.scenario.forget()
    eventually(traced.is_as_before, within=60, what="the Deployment as it was")
    traced.scenario.wait_settled("payment-service")
    assert traced.scenario.template_hash("payment-service") == traced.hash_before
    eventually(
        lambda: not leftovers(traced.scenario),
        within=60,
        what="nothing of ours in the namespace",
        tell=lambda: str(leftovers(traced.scenario)),
    )


@pytest.mark.timeout(600, func_only=True)
def test_helm_uninstall_reverts_first_and_leaves_nothing_and_a_new_installation_takes_up_the_work(traced, production):
    scenario = traced.scenario
    scenario.uninstall()
    try:
        assert traced.is_as_before()
        scenario.wait_settled("payment-service")
        assert scenario.template_hash("payment-service") == traced.hash_before
        for each in (scenario, production):
            eventually(
                lambda each=each: not leftovers(each),
                within=60,
                what=f"nothing of ours in {each.namespace}",
                tell=lambda each=each: str(leftovers(each)),
            )
        assert not leftovers(scenario.within(OPERATOR_NAMESPACE), "app.kubernetes.io/part-of=grpctracing")
        assert "grpctracing" not in scenario.kubectl("get", "clusterroles,clusterrolebindings", "--output=name")
    finally:
        scenario.install()
    production.wait_state(AT_WORK, *SERVICES, within=300)
    production.wait_settled(*SERVICES)


def leftovers(scenario: Scenario, selector: str = OURS) -> list[str]:
    """Return `Kind/name` of each object of ours in the namespace."""
    return [
        f"{found['kind']}/{found['metadata']['name']}"
        for found in scenario.kubectl.items(KINDS, scenario.namespace, selector)
    ]


def user_part(deployment: dict[str, Any]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return labels, annotations and finalizers, without what the test's own kubectl and the Deployment controller write."""
    own = {INJECT, "deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"}
    metadata = deployment["metadata"]
    annotations = {key: value for key, value in metadata.get("annotations", {}).items() if key not in own}
    return metadata["labels"], annotations, metadata.get("finalizers", [])
