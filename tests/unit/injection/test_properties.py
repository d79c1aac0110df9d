"""What must hold for any Deployment and any GrpcTracing."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from grpctracing.injection import build, plan
from grpctracing.injection.containers import Refusal
from tests.unit.injection.builders import deployments, probes, tracings
from tests.unit.injection.server import inject

MANY = settings(max_examples=2_000, deadline=None)
SOME = settings(max_examples=500, deadline=None)
FEW = settings(max_examples=200, deadline=None)


def planned(deployment, tracing, probed=None):
    """The plan, or None where the user's own set-up refuses it."""
    try:
        return plan(deployment, tracing, probed=probed)
    except Refusal:
        return None


def names_in(container):
    return [entry["name"] for entry in container.get("env", [])]


def pod(deployment):
    return deployment["spec"]["template"]["spec"]


@MANY
@given(deployments(), tracings(), probes())
def test_revert_is_the_exact_inverse_of_inject(deployment, tracing, probed):
    wanted = planned(deployment, tracing, probed)
    injected = inject(deployment, wanted and build(deployment, wanted))
    reverted = inject(injected, build(injected, None, remembered=wanted))
    assert reverted["spec"] == deployment["spec"]
    forgotten = inject(injected, build(injected, None))
    assert forgotten["spec"] == deployment["spec"], "also when the object is gone"


@SOME
@given(deployments(), tracings(), probes())
def test_injecting_twice_writes_once(deployment, tracing, probed):
    wanted = planned(deployment, tracing, probed)
    if wanted is None:
        return
    injected = inject(deployment, build(deployment, wanted))
    assert build(injected, plan(injected, tracing, probed=probed)) is None


@FEW
@given(deployments(), tracings(), probes(), probes())
def test_a_changed_image_reverts_as_exactly(deployment, tracing, first, second):
    wanted = planned(deployment, tracing, first)
    once = inject(deployment, wanted and build(deployment, wanted))
    again = planned(once, tracing, second)
    twice = inject(once, again and build(once, again))
    assert inject(twice, build(twice, None))["spec"] == deployment["spec"]


@FEW
@given(deployments(), tracings(), probes())
def test_an_image_that_nobody_has_looked_into_yet_changes_nothing(deployment, tracing, probed):
    wanted = planned(deployment, tracing, probed)
    if wanted is None or wanted.left_out or wanted.without_python:
        return
    injected = inject(deployment, build(deployment, wanted))
    unknown = plan(injected, tracing, probed={})
    paths = [{e["name"]: e.get("value") for e in item.env}.get("PYTHONPATH") for item in unknown.containers]
    assert paths == [{e["name"]: e.get("value") for e in item.env}.get("PYTHONPATH") for item in wanted.containers]


@MANY
@given(deployments(), tracings())
def test_what_the_user_wrote_keeps_its_value_and_its_order(deployment, tracing):
    before = copy.deepcopy(deployment)
    wanted = planned(deployment, tracing)
    injected = inject(deployment, wanted and build(deployment, wanted))
    assert [item["name"] for item in pod(injected)["containers"]] == [
        item["name"] for item in pod(before)["containers"]
    ]
    for old, new in zip(pod(before)["containers"], pod(injected)["containers"], strict=True):
        kept = [name for name in names_in(new) if name in names_in(old)]
        assert kept == names_in(old)
        assert names_in(new)[: len(names_in(old))] == names_in(old)
        values = {entry["name"]: entry for entry in new.get("env", [])}
        for entry in old.get("env", []):
            if entry["name"] != "PYTHONPATH":
                assert values[entry["name"]] == entry
        mounts = new.get("volumeMounts", [])
        assert mounts[: len(old.get("volumeMounts", []))] == old.get("volumeMounts", [])
    volumes = pod(injected).get("volumes", [])
    assert volumes[: len(pod(before).get("volumes", []))] == pod(before).get("volumes", [])
    assert deployment == before, "a pure function leaves its argument alone"


@SOME
@given(deployments(), tracings(), tracings())
def test_a_change_of_the_object_reverts_as_exactly(deployment, first, second):
    for tracing in (first, second):
        wanted = planned(deployment, tracing)
        if wanted is None:
            return
    once = inject(deployment, build(deployment, plan(deployment, first)))
    twice = inject(once, build(once, plan(once, second)))
    assert build(twice, plan(twice, second)) is None
    assert inject(twice, build(twice, None))["spec"] == deployment["spec"]


@SOME
@given(
    deployments(), tracings(), st.sampled_from(["OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME", "LOG_LEVEL", "PYTHONPATH"])
)
def test_a_name_that_the_user_sets_later_is_left_to_them(deployment, tracing, name):
    wanted = planned(deployment, tracing)
    if wanted is None:
        return
    injected = inject(deployment, build(deployment, wanted))
    taken = copy.deepcopy(injected)
    for container in pod(taken)["containers"]:
        container["env"] = [entry for entry in container.get("env", []) if entry["name"] != name]
        container["env"].append({"name": name, "value": "the user's"})
    for record in taken["metadata"].get("managedFields", []):
        for fields in record["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"].values():
            fields["f:env"].pop(f'k:{{"name":"{name}"}}', None)
    again = planned(taken, tracing)
    assert again is not None
    healed = inject(taken, build(taken, again))
    for container in pod(healed)["containers"]:
        value = {entry["name"]: entry.get("value") for entry in container["env"]}[name]
        assert value == "the user's" or (name == "PYTHONPATH" and value == "/grpctracing:the user's")
    reverted = inject(healed, build(healed, None, remembered=again))
    for container in pod(reverted)["containers"]:
        assert {"name": name, "value": "the user's"} in container["env"]
