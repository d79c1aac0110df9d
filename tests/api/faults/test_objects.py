"""What the operator does when what it wants to write is refused, replaced or on its way out. docs/faults.md is the table."""

from __future__ import annotations

import datetime as dt
from datetime import timedelta

import pytest

from grpctracing.controllers import status, workload
from grpctracing.kube import errors, lease
from grpctracing.kube.resources import LEASES, Key, Resource
from tests.api.asking import finalized, gone, has
from tests.api.faults.proxy import Fault
from tests.api.running import NAMESPACES, Place, connected, deployment, eventually, new_namespace, running, settled

pytestmark = pytest.mark.api

WEBHOOKS = Resource(
    "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration"
)
EXTERNAL = {"mode": "External", "external": {"endpoint": "http://collector.invalid:4317"}}


async def refused(place, name, words):
    found = (await place.listed()).get(name, {})
    return found if found.get("reason") == "Refused" and words in found["message"] else None


def webhook(name, namespace):
    """A policy engine that nobody answers for, asked about the Deployments with the label app=*name*."""
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
    return {
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": "policy.example.com",
                "clientConfig": {"url": "https://127.0.0.1:9/"},
                "rules": [rule],
                "failurePolicy": "Fail",
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "objectSelector": {"matchLabels": {"app": name}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 2,
            }
        ],
    }


async def is_asked(place, name):
    try:
        await place.change("Deployment", name, {"metadata": {"labels": {"seen": "yes"}}})
    except errors.ApiError as error:
        return "failed calling webhook" in error.message
    return False


async def test_a_webhook_that_cannot_be_called_is_told_and_outlived(place, rollouts, stand, told):
    await place.create(deployment("hooked", annotations={"grpctracing.dev/inject": "false"}))
    await place.client._json("POST", WEBHOOKS.path(), body=webhook("hooked", place.namespace))
    try:
        await eventually(lambda: is_asked(place, "hooked"), within=30)
        await place.delete("Deployment", "hooked")
        await place.workload("hooked")
        found = await eventually(lambda: refused(place, "hooked", "failed calling webhook"), within=30)
        assert found["state"] == "Degraded"
        assert "policy.example.com" in found["message"]
        assert not stand.patches("hooked")
    finally:
        await place.client._json("DELETE", WEBHOOKS.path(None, "hooked"))
    live = await eventually(lambda: place.injected("hooked"), within=60)
    assert live["metadata"]["generation"] == 2
    await stand.patched_once("hooked")
    told.no_flood()


async def test_a_policy_that_denies_our_patch_is_told_in_its_own_words(place, rollouts, stand, told):
    denial = 'admission webhook "policy.example.com" denied the request: no sidecars on Fridays'
    with stand.proxy.fault(Fault(r"^PATCH .*/deployments/denied\?", 403, denial)) as (fault,):
        await place.workload("denied")
        await eventually(lambda: refused(place, "denied", "no sidecars on Fridays"), within=30)
        assert fault.hits <= 10
        (line, *_) = [line for line in told.lines("reconcile failed") if line["key"].endswith("/denied")]
        assert denial in line["error"]
    await eventually(lambda: place.injected("denied"), within=60)
    await stand.patched_once("denied")
    told.no_flood()


async def test_one_that_is_made_anew_under_our_hands_gets_one_patch_of_its_own(place, rollouts, stand, told):
    with stand.proxy.fault(Fault(r"^PATCH .*/deployments/twice\?", delay=2, times=1)) as (fault,):
        first = await place.workload("twice")
        await eventually(lambda: fault.hits, within=30)
        await place.delete("Deployment", "twice")
        second = await place.workload("twice", {"MINE": "yes"})
        live = await eventually(lambda: place.injected("twice"), within=45)
    assert first["metadata"]["uid"] != second["metadata"]["uid"] == live["metadata"]["uid"]
    assert live["metadata"]["generation"] == 2
    await stand.patched_once("twice")
    told.no_flood()


async def test_a_namespace_that_is_going_lets_its_object_go(client, control_plane):
    place = Place(client, await new_namespace(client))
    await place.workload(annotations={"grpctracing.dev/inject": "false"})
    await place.tracing(collector=EXTERNAL)
    async with running(client, place.namespace) as engine:
        await eventually(lambda: has(place, "ConfigMap", {"grpctracing-default-bootstrap"}))
        await eventually(lambda: finalized(place))
        await client._json("DELETE", NAMESPACES.path(None, place.namespace))
        await place.delete("ConfigMap", "grpctracing-default-bootstrap")  # what the namespace's own controller does
        await eventually(lambda: terminating(place), within=30)
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place, "GrpcTracing", "default"), within=30)
        assert engine.trouble() is None


async def terminating(place):
    found = (await place.conditions()).get("Ready", {})
    return found if "being terminated" in found.get("message", "") else None


@pytest.mark.parametrize("hours", [-5, 5], ids=["back", "forward"])
async def test_a_clock_that_jumps_changes_nothing(client, rollouts_of, control_plane, monkeypatch, hours):
    place = Place(client, await new_namespace(client))
    await place.workload("before")
    await place.tracing(collector=EXTERNAL)
    async with connected(control_plane.kubeconfig) as own:
        elector = lease.Elector(own, Key(place.namespace, "operator"), 10)
        await elector.acquire()
        async with rollouts_of(place), running(client, place.namespace) as engine:
            was = await eventually(lambda: place.injected("before"))
            await settled(engine)
            jump(monkeypatch, timedelta(hours=hours))
            await elector._renew()
            assert elector.leads()
            await place.workload("after")
            live = await eventually(lambda: place.injected("after"), within=30)
            assert live["metadata"]["generation"] == 2
            await settled(engine)
            assert (await place.must("Deployment", "before"))["metadata"]["generation"] == was["metadata"]["generation"]
            assert {"before", "after"} == set(await place.listed())
        rival = lease.Elector(own, Key(place.namespace, "operator"), 10)
        await rival._look()
        assert rival._step().value == "wait", "what time the record says is not believed"
        renewed = (await own.get(LEASES, place.namespace, "operator"))["spec"]["renewTime"]
        assert abs(dt.datetime.fromisoformat(renewed) - dt.datetime.now(dt.UTC)) > timedelta(hours=4)


def jump(monkeypatch, by):
    """Set the wall clock of everything that reads it; the monotonic one does not jump."""

    class Jumped(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime.now(tz) + by

    for module in (lease, status, workload):
        monkeypatch.setattr(module, "datetime", Jumped)
