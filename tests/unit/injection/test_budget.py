"""When a PodDisruptionBudget keeps a rollout from beginning, and when there is nothing for it to keep."""

from __future__ import annotations

import pytest

from grpctracing.injection import Action, Reason, Seen, decide
from grpctracing.injection.budget import exhausted
from tests.unit.injection.builders import OPT_IN, container, deployment, tracing
from tests.unit.injection.test_guard import ILL, injected
from tests.unit.injection.test_kinds import ON_DELETE, daemon_set, stateful_set

ONE_AT_A_TIME = {"maxSurge": 0, "maxUnavailable": 1}
NEW_ONES_FIRST = {"maxSurge": 1, "maxUnavailable": 0}


def budget(allowed=0, *, selector=None, **status):
    status = {"observedGeneration": 1, "expectedPods": 3, "disruptionsAllowed": allowed, **status}
    selects = {"matchLabels": {"app": "payment-service"}} if selector is None else selector
    return {"metadata": {"name": "pdb", "generation": 1}, "spec": {"selector": selects}, "status": status}


def rolling(bounds=None, **fields):
    strategy = {"type": "RollingUpdate", "rollingUpdate": bounds or {}}
    return deployment(strategy=strategy, **fields)


@pytest.mark.parametrize(
    ("workload", "found", "name"),
    [
        pytest.param(rolling(ONE_AT_A_TIME), budget(), "pdb", id="a pod would go first"),
        pytest.param(rolling(ONE_AT_A_TIME), budget(1), "", id="one may go"),
        pytest.param(rolling(NEW_ONES_FIRST), budget(), "", id="a new pod comes first"),
        pytest.param(rolling(replicas=3), budget(), "", id="a quarter of three is no pod"),
        pytest.param(rolling(replicas=4), budget(), "pdb", id="a quarter of four is one"),
        pytest.param(rolling({"maxSurge": "0%", "maxUnavailable": "10%"}), budget(), "pdb", id="both are none: one goes"),
        pytest.param(deployment(strategy={"type": "Recreate"}), budget(), "pdb", id="all go first"),
        pytest.param(stateful_set(), budget(selector={}), "pdb", id="a StatefulSet replaces pods in their place"),
        pytest.param(stateful_set(updateStrategy=ON_DELETE), budget(selector={}), "", id="its user replaces them"),
        pytest.param(daemon_set(), budget(selector={}), "pdb", id="so does a DaemonSet"),
        pytest.param(
            daemon_set(updateStrategy={"rollingUpdate": {"maxSurge": 1}}), budget(selector={}), "", id="unless told not to"
        ),
        pytest.param(rolling(ONE_AT_A_TIME), budget(selector={"matchLabels": {"app": "x"}}), "", id="of other pods"),
        pytest.param(rolling(ONE_AT_A_TIME), budget(selector={}), "pdb", id="of all pods"),
        pytest.param(
            rolling(ONE_AT_A_TIME),
            budget(selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]}),
            "pdb",
            id="by an expression",
        ),
        pytest.param(rolling(ONE_AT_A_TIME), budget(observedGeneration=0), "", id="nobody has counted yet"),
        pytest.param(rolling(ONE_AT_A_TIME), budget(expectedPods=0), "", id="there are no pods"),
    ],
)  # fmt: skip
def test_a_budget_counts_where_pods_would_be_missed(workload, found, name):
    assert exhausted(workload, [found]) == name


@pytest.mark.parametrize(
    ("given", "action", "reason"),
    [
        pytest.param(deployment(annotations=OPT_IN), Action.WAIT, Reason.DISRUPTION_BUDGET, id="not injected yet"),
        pytest.param(
            injected(containers=[container(env={"OTEL_PROPAGATORS": "b3"})], object_=tracing()),
            Action.WAIT,
            Reason.DISRUPTION_BUDGET,
            id="a change of what is in and well",
        ),
        pytest.param(injected(ILL), Action.INJECT, Reason.PATCHING, id="a change that may be the cure"),
    ],
)
def test_who_waits_for_a_budget(given, action, reason):
    changed = tracing(spec={"env": [{"name": "OTEL_X", "value": "1"}]})
    verdict = decide(Seen(given, [changed], budget="pdb"))
    assert (verdict.action, verdict.reason) == (action, reason)
    assert verdict.action is Action.INJECT or (verdict.requeue and '"pdb"' in verdict.message)
