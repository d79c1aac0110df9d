"""`uninstall`, as the chart's hook runs it: everything as it was, and the user's objects still there."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from grpctracing.cli import target as named
from grpctracing.cli import uninstall as module
from grpctracing.cli.explain import explain
from grpctracing.kube.client import MERGE
from grpctracing.kube.lease import Elector
from grpctracing.kube.neighbours import Claim
from grpctracing.kube.resources import DEPLOYMENTS, LEASES, NAMESPACES, Key
from grpctracing.settings import Settings
from tests.api.running import deployment, eventually, running

pytestmark = pytest.mark.api


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.1)


@pytest.fixture
def run(control_plane, place, monkeypatch):
    """A command of the CLI in the namespace of the test; returns the exit code."""
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    monkeypatch.setenv("GRPCTRACING_WATCH_NAMESPACES", place.namespace)

    async def command(word, target=""):
        settings = Settings.from_env(os.environ)
        if word == "uninstall":
            return await module.uninstall(settings, os.environ)
        return await explain(settings, os.environ, named(target))

    return command


async def injected_and_stopped(place, **tracing):
    before = {name: await place.workload(name) for name in ("payment-service", "order-service")}
    await place.tracing(**tracing)
    async with running(place.client, place.namespace):
        for name in before:
            await eventually(lambda name=name: place.injected(name))
        await eventually(lambda: finalized(place))
    return before


async def finalized(place):
    return (await place.must("GrpcTracing", "default"))["metadata"].get("finalizers")


async def test_uninstall_reverts_deletes_and_releases(place, rollouts, run, capsys):
    before = await injected_and_stopped(place)
    assert await run("uninstall") == 0
    for name, was in before.items():
        assert (await place.must("Deployment", name))["spec"] == was["spec"]
    assert await place.names("Deployment") == before.keys()
    for kind in ("ConfigMap", "Service", "ServiceAccount"):
        assert not {name for name in await place.names(kind) if "grpctracing" in name or "otel" in name}
    left = await place.must("GrpcTracing", "default")
    assert "finalizers" not in left["metadata"], "nobody is left to wait for"
    assert not left.get("status"), "nobody keeps it true"
    report = capsys.readouterr().out
    assert f"reverted  {place.namespace}/payment-service" in report
    assert "2 reverted" in report


async def test_uninstall_twice_finds_nothing_to_do(place, rollouts, run, capsys):
    await injected_and_stopped(place)
    assert await run("uninstall") == 0
    capsys.readouterr()
    assert await run("uninstall") == 0
    assert capsys.readouterr().out.strip() == "done      0 reverted, 0 deleted, 0 released"


async def test_a_reinstalled_operator_takes_up_the_objects_that_were_left(place, rollouts, run):
    await injected_and_stopped(place)
    assert await run("uninstall") == 0
    async with running(place.client, place.namespace):
        await eventually(place.injected)
        await eventually(lambda: finalized(place))


async def test_the_operator_is_stopped_first(place, rollouts, run, monkeypatch):
    await injected_and_stopped(place)
    await place.create(deployment("operator", labels={"app.kubernetes.io/name": "grpctracing-operator"}))
    monkeypatch.setenv("GRPCTRACING_OPERATOR_DEPLOYMENT", f"{place.namespace}/operator")
    assert await run("uninstall") == 0
    assert (await place.must("Deployment", "operator"))["spec"]["replicas"] == 0


async def test_the_record_of_the_election_goes_too(place, run, monkeypatch):
    monkeypatch.setenv("GRPCTRACING_LEASE", f"{place.namespace}/operator")
    elector = Elector(place.client, Key(place.namespace, "operator"), 10)
    await elector.acquire()
    await elector.release()
    assert await run("uninstall") == 0
    assert not await place.client.list(LEASES, place.namespace)


async def test_what_cannot_be_reverted_is_named_and_the_operator_started_again(
    place, rollouts, run, monkeypatch, capsys
):
    await injected_and_stopped(place)
    await place.create(deployment("operator", labels={"app.kubernetes.io/name": "grpctracing-operator"}))
    monkeypatch.setenv("GRPCTRACING_OPERATOR_DEPLOYMENT", f"{place.namespace}/operator")
    monkeypatch.setattr(module, "PATIENCE", 3.0)
    monkeypatch.setattr(module, "STOP_PATIENCE", 3.0)
    await forbid(place, "payment-service")
    try:
        assert await run("uninstall") == 1
    finally:
        await permit(place)
    report = capsys.readouterr().out
    assert f"failed    Deployment {place.namespace}/payment-service" in report
    assert "frozen by a policy" in report
    assert (await place.must("Deployment", "operator"))["spec"]["replicas"] == 2
    assert await place.clean("order-service"), "one that refuses does not keep the others"
    assert "grpctracing-default-bootstrap" in await place.names("ConfigMap"), "the one that is left still needs it"


POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
POLICY_BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


async def forbid(place, name):
    """A policy of somebody else refuses every change of one Deployment; returns when it does."""
    match = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
        "resourceRules": [
            {
                "apiGroups": ["apps"],
                "apiVersions": ["v1"],
                "operations": ["UPDATE"],
                "resources": ["deployments"],
                "resourceNames": [name],
            }
        ],
    }
    policy = {
        "metadata": {"name": "frozen"},
        "spec": {"matchConstraints": match, "validations": [{"expression": "false", "message": "frozen by a policy"}]},
    }
    binding = {"metadata": {"name": "frozen"}, "spec": {"policyName": "frozen", "validationActions": ["Deny"]}}
    await place.client._json("POST", POLICIES, body=policy)
    await place.client._json("POST", POLICY_BINDINGS, body=binding)

    async def refuses():
        body = {"metadata": {"annotations": {"probe": "x"}}}
        path = DEPLOYMENTS.path(place.namespace, name)
        try:
            await place.client._json("PATCH", path, query={"dryRun": "All"}, body=body, content_type=MERGE)
        except module.errors.ApiError:
            return True
        return False

    await eventually(refuses)


async def permit(place):
    await place.client._json("DELETE", f"{POLICY_BINDINGS}/frozen")
    await place.client._json("DELETE", f"{POLICIES}/frozen")


async def test_explain_tells_what_would_be_done_and_writes_nothing(place, rollouts, run, capsys):
    before = await place.workload()
    await place.tracing()
    assert await run("explain", f"{place.namespace}/payment-service") == 0
    report = capsys.readouterr().out
    assert "Action      inject" in report
    assert "OTEL_SERVICE_NAME" in report
    after = await place.must("Deployment", "payment-service")
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


async def test_explain_goes_by_what_a_policy_sees_and_claims_none_for_a_plan(place, rollouts, run, capsys):
    made = deployment("payment-service")
    del made["metadata"]["labels"]
    made["spec"]["template"]["metadata"]["labels"] = {"app": "payment-service", "tier": "backend"}
    await place.create(made)
    rules = {"strategy": "Admission", "mode": "Plan"}
    await place.tracing(selector={"matchLabels": {"tier": "backend"}}, rollout=rules)
    assert await run("explain", f"{place.namespace}/payment-service") == 0
    report = capsys.readouterr().out
    assert "GrpcTracing default" in report
    assert "Pending (Planned)" in report
    assert "no policy is written, and one from before stays as it is" in report


async def test_explain_of_nothing_says_so(place, run, capsys):
    assert await run("explain", f"{place.namespace}/missing") == 1
    assert "missing" in capsys.readouterr().err


async def test_a_refused_injection_is_told_in_the_status(place, rollouts):
    await place.workload()
    await forbid(place, "payment-service")
    try:
        await place.tracing()
        async with running(place.client, place.namespace):
            found = await eventually(lambda: refused(place))
            seen = []
            while len(seen) < 2 or seen[-1] != seen[-2]:  # what else there is to tell may come a moment later
                assert len(seen) < 5, "each retry writes the status"
                seen.append((await place.must("GrpcTracing", "default"))["metadata"]["resourceVersion"])
                await asyncio.sleep(4)  # some retries
        assert found["state"] == "Degraded"
        events = await place.client._json("GET", f"/api/v1/namespaces/{place.namespace}/events")
        assert [event["reason"] for event in events["items"]].count("Refused") == 1, "told once, not once per retry"
    finally:
        await permit(place)


async def refused(place):
    found = (await place.listed()).get("payment-service", {})
    return found if "frozen by a policy" in found.get("message", "") else None


@contextlib.asynccontextmanager
async def working(place, name, selector=""):
    """An operator of the namespace, or of those that *selector* selects, as far as its Lease tells."""
    named = frozenset() if selector else frozenset({place.namespace})
    claim = Claim(Key(place.namespace, name), named, "2026-01-01T00:00:00Z", selector)
    elector = Elector(place.client, claim.lease, 10, notes=lambda: claim.notes)
    await elector.acquire()
    renewing = asyncio.create_task(elector.keep())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await elector.release()


async def test_where_an_operator_works_nothing_is_touched_and_the_way_out_is_told(place, rollouts, run, capsys):
    await injected_and_stopped(place)
    async with working(place, "grpctracing"):
        assert await run("uninstall") == 1
    report = capsys.readouterr().out
    assert (
        f"failed    {place.namespace}: an operator works there (it renews Lease {place.namespace}/grpctracing)"
        in report
    )
    assert f"kubectl delete gtr --all -n {place.namespace}" in report
    assert f"kubectl scale deployment grpctracing -n {place.namespace} --replicas=0" in report
    assert await place.injected("payment-service")
    assert await finalized(place)
    assert await run("uninstall") == 0, "it was stopped: its Lease is there, and free"
    assert await place.clean("payment-service")


async def test_an_operator_that_is_gone_without_a_word_is_in_nobodys_way(place, rollouts, run):
    await injected_and_stopped(place)
    claim = Claim(Key(place.namespace, "killed"), frozenset(), "2026-01-01T00:00:00Z")
    await Elector(place.client, claim.lease, 1, notes=lambda: claim.notes).acquire()
    assert await run("uninstall") == 0
    assert await place.clean("payment-service")


async def test_a_release_that_goes_leaves_alone_what_another_one_looks_after(place, rollouts, run, monkeypatch, capsys):
    await injected_and_stopped(place)
    monkeypatch.setenv("GRPCTRACING_OPERATOR_DEPLOYMENT", f"{place.namespace}/second")
    monkeypatch.setenv("GRPCTRACING_LEASE", f"{place.namespace}/second")
    async with working(place, "first"):
        assert await run("uninstall") == 0
    assert f"left to the operator of Lease {place.namespace}/first" in capsys.readouterr().out
    assert await place.injected("payment-service")
    assert await finalized(place)


@pytest.mark.parametrize(("label", "code"), [("elsewhere", 0), ("here", 1)])
async def test_an_operator_by_labels_is_in_the_way_where_they_select_the_namespace(place, rollouts, run, label, code):
    await injected_and_stopped(place)
    body = {"metadata": {"labels": {"by-labels": "here"}}}
    await place.client.patch(NAMESPACES, "", place.namespace, body, kind=MERGE)
    async with working(place, "labels", f"by-labels={label}"):
        assert await run("uninstall") == code
    assert bool(await place.clean("payment-service")) is (code == 0)
