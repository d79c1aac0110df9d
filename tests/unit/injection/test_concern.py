"""What nobody needs to look at where there is no GrpcTracing: nothing that a decision would touch, or speak of."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings

from grpctracing.controllers.projection import project
from grpctracing.injection import Action, Reason, Seen, State, decide
from grpctracing.injection.concern import untouched
from tests.unit.injection.builders import OPT_IN, deployment, deployments, tracings
from tests.unit.injection.server import apply_patch


@settings(max_examples=300, deadline=None)
@given(deployments(), tracings())
def test_what_is_untouched_needs_no_decision_and_what_is_injected_is_never_untouched(live, tracing):
    if untouched(project(live)):
        verdict = decide(Seen(live, []))
        found = (verdict.action, verdict.state, verdict.reason, verdict.tracing)
        assert found == (Action.NOTHING, State.SKIPPED, Reason.NOT_SELECTED, None)
    verdict = decide(Seen(live, [tracing]))
    if verdict.action is Action.INJECT:
        assert not untouched(project(apply_patch(copy.deepcopy(live), verdict.patch)))


@pytest.mark.parametrize(
    "live",
    [
        deployment(annotations=OPT_IN),
        deployment(template_annotations={"grpctracing.dev/inject": "unknown"}),
        deployment(env={"GRPCTRACING_POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}}}),
        deployment(env={"PYTHONPATH": "/grpctracing:/app"}),
        deployment(volumes=[{"name": "grpctracing-bootstrap", "configMap": {"name": "grpctracing-default-bootstrap"}}]),
    ],
    ids=["asks", "asks on its template", "our variable", "our directory", "our volume"],
)
def test_a_trace_of_ours_or_a_wish_is_a_concern(live):
    assert not untouched(live)


def test_what_we_own_by_the_books_alone_is_a_concern():
    live = deployment(env={"OTEL_PROPAGATORS": "b3"})
    assert untouched(live)
    live["metadata"]["managedFields"] = [{"manager": "grpctracing", "operation": "Update", "fieldsV1": {}}]
    assert not untouched(live)
