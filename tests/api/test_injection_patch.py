"""The patch on a real API server: what it stores, what it notes about owners, and that going back is exact."""

from __future__ import annotations

import copy
import itertools

import pytest
from hypothesis import HealthCheck, given, settings

from grpctracing.injection import build, plan
from grpctracing.injection.containers import Refusal
from tests.api.rest import MERGE, STRATEGIC_MERGE, Rest
from tests.unit.injection.builders import OPT_IN, deployment, deployments, tracing, tracings

pytestmark = pytest.mark.api
NAMESPACE = "/api/v1/namespaces"
DEPLOYMENTS = "/apis/apps/v1/namespaces/production/deployments"
WRITE = "?fieldManager=grpctracing&fieldValidation=Strict"
counter = itertools.count()


@pytest.fixture(scope="module")
def rest(control_plane):
    client = Rest(control_plane)
    status, _ = client.call("POST", NAMESPACE, {"metadata": {"name": "production"}})
    assert status in {201, 409}
    return client


def create(rest, made):
    body = copy.deepcopy(made)
    body["metadata"] = {key: body["metadata"][key] for key in ("labels", "annotations")}
    body["metadata"]["name"] = f"injection-{next(counter)}"
    body.pop("status")
    return rest.ok("POST", DEPLOYMENTS + "?fieldManager=user", body)


def write(rest, live, patch):
    """*live* after *patch*; also that the same patch again changes nothing."""
    if patch is None:
        return live
    path = f"{DEPLOYMENTS}/{live['metadata']['name']}{WRITE}"
    return rest.ok("PATCH", path, patch, STRATEGIC_MERGE)


def our_records(live):
    return [record for record in live["metadata"]["managedFields"] if record["manager"] == "grpctracing"]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(given_deployment=deployments(), object_=tracings())
def test_inject_and_revert_are_inverse_on_any_deployment(rest, given_deployment, object_):
    live = create(rest, given_deployment)
    try:
        wanted = plan(live, object_)
    except Refusal:
        return
    injected = write(rest, live, build(live, wanted))
    assert build(injected, plan(injected, object_)) is None, "once is enough"
    reverted = write(rest, injected, build(injected, None))
    assert reverted["spec"] == live["spec"]


def test_our_entry_in_managed_fields_goes_with_the_injection(rest):
    live = create(rest, deployment(annotations=OPT_IN, env={"A": "1"}))
    injected = write(rest, live, build(live, plan(live, tracing())))
    assert our_records(injected)
    reverted = write(rest, injected, build(injected, None))
    assert not our_records(reverted)


def test_a_duplicate_that_comes_after_injection_keeps_the_value_that_counts(rest):
    live = create(rest, deployment(annotations=OPT_IN, env={"A": "1", "B": "x"}))
    injected = write(rest, live, build(live, plan(live, tracing())))
    injected["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "A", "value": "2"})
    path = f"{DEPLOYMENTS}/{live['metadata']['name']}"
    twice = rest.ok("PUT", path, injected)
    reverted = write(rest, twice, build(twice, None))
    env = reverted["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [entry["value"] for entry in env if entry["name"] == "A"] == ["1", "2"]
    assert {entry["name"] for entry in env} == {"A", "B"}


def test_an_empty_value_of_ours_goes_too(rest):
    live = create(rest, deployment(annotations=OPT_IN, env={"A": ""}))
    empty = tracing(spec={"env": [{"name": "OTEL_BSP_SCHEDULE_DELAY", "value": ""}]})
    injected = write(rest, live, build(live, plan(live, empty)))
    assert build(injected, plan(injected, empty)) is None
    assert write(rest, injected, build(injected, None))["spec"] == live["spec"]


def test_a_user_who_applies_a_name_of_ours_has_it_for_good(rest):
    live = create(rest, deployment(annotations=OPT_IN))
    injected = write(rest, live, build(live, plan(live, tracing())))
    name = live["metadata"]["name"]
    mine = {
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "app", "env": [{"name": "OTEL_PROPAGATORS", "value": "b3"}]}]}
            }
        }
    }
    taken = rest.ok("PATCH", f"{DEPLOYMENTS}/{name}?fieldManager=user", mine, STRATEGIC_MERGE)
    assert build(taken, plan(taken, tracing())) is None
    reverted = write(rest, taken, build(taken, None))
    env = reverted["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "OTEL_PROPAGATORS", "value": "b3"}]
    assert injected["spec"] != reverted["spec"]


def test_a_forced_server_side_apply_takes_a_name_over(rest):
    live = create(rest, deployment(annotations=OPT_IN))
    injected = write(rest, live, build(live, plan(live, tracing())))
    name = live["metadata"]["name"]
    mine = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": live["spec"]["selector"],
            "template": {
                "metadata": {"labels": live["spec"]["template"]["metadata"]["labels"]},
                "spec": {
                    "containers": [
                        {"name": "app", "image": "shop/app:1", "env": [{"name": "OTEL_PROPAGATORS", "value": "b3"}]}
                    ]
                },
            },
        },
    }
    path = f"{DEPLOYMENTS}/{name}?fieldManager=flux&force=true"
    taken = rest.ok("PATCH", path, mine, "application/apply-patch+yaml")
    assert build(taken, plan(taken, tracing())) is None
    reverted = write(rest, taken, build(taken, None))
    env = reverted["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "OTEL_PROPAGATORS", "value": "b3"}]
    assert len(injected["spec"]["template"]["spec"]["containers"][0]["env"]) > 10


def test_a_patch_never_lands_on_what_was_not_looked_at(rest):
    live = create(rest, deployment(annotations=OPT_IN))
    patch = build(live, plan(live, tracing()))
    path = f"{DEPLOYMENTS}/{live['metadata']['name']}"
    rest.ok("PATCH", path, {"metadata": {"labels": {"touched": "yes"}}}, MERGE)
    status, answer = rest.call("PATCH", path + WRITE, patch, STRATEGIC_MERGE)
    assert (status, answer["reason"]) == (409, "Conflict")
    rest.ok("DELETE", path)
    create_again = copy.deepcopy(live)
    create_again["metadata"] = {"name": live["metadata"]["name"]}
    create_again.pop("status")
    rest.ok("POST", DEPLOYMENTS, create_again)
    patch["metadata"].pop("resourceVersion")
    status, _ = rest.call("PATCH", path + WRITE, patch, STRATEGIC_MERGE)
    assert status in {409, 422}
