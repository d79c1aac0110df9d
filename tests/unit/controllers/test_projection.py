"""The projection: smaller, and no decision is different for it."""

from __future__ import annotations

import copy
import json

from hypothesis import given, settings

from grpctracing.controllers.projection import project
from grpctracing.injection import Seen, decide
from tests.unit.injection.builders import OPT_IN, deployment, deployments, tracings
from tests.unit.injection.server import apply_patch


@settings(max_examples=300, deadline=None)
@given(deployments(), tracings())
def test_a_decision_on_the_projection_is_the_decision_on_the_whole(live, tracing):
    verdict = decide(Seen(live, [tracing]))
    assert decide(Seen(project(live), [tracing])) == verdict
    if verdict.patch is not None:
        written = apply_patch(copy.deepcopy(live), verdict.patch)
        for tracings_now in ([tracing], []):
            assert decide(Seen(project(written), tracings_now)) == decide(Seen(written, tracings_now))


def test_what_is_not_about_variables_is_not_kept():
    live = deployment(annotations=OPT_IN)
    live["metadata"]["managedFields"] = [
        {"manager": "kubectl", "operation": "Update", "time": "now", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "kube-controller-manager", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    assert len(json.dumps(project(live))) < len(json.dumps(live))
    assert [record["manager"] for record in project(live)["metadata"]["managedFields"]] == ["kubectl"]


def test_our_own_are_kept_whole():
    live = deployment(labels={"app.kubernetes.io/managed-by": "grpctracing"})
    assert project(live) is live
