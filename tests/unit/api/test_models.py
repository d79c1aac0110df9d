from __future__ import annotations

import pytest
from pydantic import ValidationError

from grpctracing.api import API_VERSION, EXCLUDED_SERVICES, GrpcTracing
from tests.unit.api.objects import tracing


def test_object_that_says_nothing_has_the_documented_defaults():
    spec = tracing().spec
    assert spec.selector is None
    assert (spec.sampler.type, spec.sampler.argument) == ("parentbased_always_on", None)
    assert (spec.keep.errors, spec.keep.slower_than) == (True, "1s")
    assert spec.propagators == ("tracecontext", "baggage")
    assert (spec.collector.mode, spec.collector.managed.replicas, spec.collector.external) == ("Managed", 1, None)
    assert (spec.instrumentation.metrics, spec.instrumentation.messages, spec.instrumentation.semconv) == (
        True,
        "Sizes",
        "dup",
    )
    assert spec.instrumentation.excluded_services == EXCLUDED_SERVICES
    assert spec.bootstrap.enabled
    assert spec.preflight == "Auto"
    assert (spec.rollout.mode, spec.rollout.strategy) == ("Apply", "Patch")
    assert (spec.rollout.max_concurrent, spec.rollout.health_timeout) == (5, "5m")


def test_absent_selector_and_empty_selector_differ():
    assert tracing({}).spec.selector is None
    empty = tracing({"selector": {}}).spec.selector
    assert empty is not None
    assert (empty.match_labels, empty.match_expressions) == ({}, ())


def test_slow_calls_are_not_kept_when_the_bound_is_off():
    assert tracing({"keep": {"slowerThan": "Never"}}).spec.keep.slower_than is None


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"fromTheFuture": {"a": 1}}, id="unknown field"),
        pytest.param({"sampler": {"type": "always_on", "seed": 7}}, id="unknown nested field"),
        pytest.param({"env": [{"name": "PATH", "value": "x"}]}, id="refused today"),
        pytest.param({"collector": {"managed": {"replicas": 99}}}, id="out of today's bounds"),
        pytest.param({"resourceAttributes": {"service.name": "x"}}, id="reserved today"),
    ],
)
def test_what_another_release_stored_still_loads(spec):
    tracing(spec)


def test_object_without_spec_or_status_loads():
    seen = GrpcTracing.model_validate({"metadata": {"name": "a"}})
    assert seen.spec == tracing().spec
    assert seen.status.conditions == ()


def test_wrong_type_is_told_with_its_place():
    with pytest.raises(ValidationError, match=r"spec\.rollout\.maxConcurrent"):
        tracing({"rollout": {"maxConcurrent": "many"}})


def test_object_cannot_be_changed_by_accident():
    with pytest.raises(ValidationError, match="frozen"):
        tracing().spec.preflight = "Never"


def test_it_is_read_in_camel_case_and_written_back_the_same():
    given = {"rollout": {"maxConcurrent": 2}, "collector": {"managed": {"tailSampling": {"decisionWait": "3s"}}}}
    written = tracing(given).spec.model_dump(exclude_unset=True)
    assert written == given


def test_owner_reference_is_a_controller_reference():
    assert tracing(name="shop").owner_reference == {
        "apiVersion": API_VERSION,
        "kind": "GrpcTracing",
        "name": "shop",
        "uid": "6a1f0000-0000-4000-8000-000000000001",
        "controller": True,
        "blockOwnerDeletion": True,
    }
