"""The rollout guard on real pods: what crashes with the bootstrap gets its old ReplicaSet back, without anybody's help."""

from __future__ import annotations

import pytest

from examples.demo.scenario import INJECT, OPERATOR_NAMESPACE
from examples.demo.wait import eventually
from tests.e2e.calls import application, pods_of, tracing
from tests.e2e.test_operator import OPERATOR, SELECTOR, looks, metric

NAME = "payment-service"
SENSITIVE = """
import os, runpy, sys
if "/grpctracing" in os.environ.get("PYTHONPATH", ""):
    sys.exit(3)
runpy.run_module("payment.server", run_name="__main__")
"""


@pytest.mark.timeout(600, func_only=True)
def test_an_application_that_crashes_with_the_bootstrap_is_given_back_and_not_tried_again(fresh):
    fresh.kubectl.apply(
        *application(namespace=fresh.namespace, replicas=2, inject=False, command=["python3", "-c", SENSITIVE])
    )
    fresh.wait_settled(NAME)
    before, hash_before, pods_before = fresh.deployment(NAME), fresh.template_hash(NAME), pods_of(fresh)
    fresh.annotate(NAME, f"{INJECT}=true")
    fresh.kubectl.apply(tracing(fresh.namespace))
    fresh.wait_state({"Degraded"}, NAME, within=240)
    fresh.wait_settled(NAME)

    after = fresh.deployment(NAME)
    assert after["spec"] == before["spec"]
    assert fresh.template_hash(NAME) == hash_before
    assert pods_of(fresh).keys() & pods_before.keys(), "old pods served all the while"
    (record,) = fresh.tracing()["status"]["reverted"]
    assert "ended with exit code 3, Error" in record["evidence"]
    assert "CrashLoopBackOff" in record["evidence"]

    operator = fresh.within(OPERATOR_NAMESPACE)
    operator.kubectl("delete", "pod", "--namespace", OPERATOR_NAMESPACE, "--selector", SELECTOR, "--wait")
    operator.wait_settled(OPERATOR)
    eventually(lambda: looks(operator) >= 1, within=60, what="the first Deployments looked at", errors=(ValueError,))
    looked = looks(operator)
    fresh.kubectl("label", "deployment", NAME, "--namespace", fresh.namespace, "looked-at=again")
    eventually(lambda: looks(operator) > looked, within=30, what="this one looked at again")
    assert metric(operator, "grpctracing_deployment_writes_total") == 0
    assert fresh.tracing()["status"]["workloads"][0]["reason"] == "Reverted"
    assert fresh.deployment(NAME)["metadata"]["generation"] == after["metadata"]["generation"]
    assert fresh.tracing()["status"]["reverted"] == [record]
