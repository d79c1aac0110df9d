"""The chart's rules are enough, and used: as Roles in the namespaces of `watchNamespaces`, else as a ClusterRole."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from grpctracing.controllers.engine import Engine
from grpctracing.kube import errors
from grpctracing.kube.client import MERGE
from grpctracing.kube.lease import Elector
from grpctracing.kube.resources import CONFIG_MAPS, DEPLOYMENTS, PODS, POLICIES, Key, Resource
from grpctracing.kube.selectors import parse
from tests.api import running
from tests.api.asking import reason
from tests.api.kubelet import says
from tests.api.running import eventually
from tests.cluster.kubeconfig import by_token

pytestmark = pytest.mark.api

CHART = Path(__file__).parents[2] / "charts" / "grpctracing-operator"
RBAC = "rbac.authorization.k8s.io"
ROLES = Resource(RBAC, "v1", "roles", "Role")
BINDINGS = Resource(RBAC, "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Resource(RBAC, "v1", "clusterroles", "ClusterRole")
CLUSTER_BINDINGS = Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding")
SECRETS = Resource("", "v1", "secrets", "Secret")
ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


def rules(part="rules"):
    """The rules of the chart, as its Role and its ClusterRole include them."""
    text = (CHART / "templates" / "_helpers.tpl").read_text("utf-8")
    block = re.search(r'define "grpctracing.' + part + r'" -\}\}\n(.*?)\{\{- end', text, re.DOTALL)
    assert block is not None
    return yaml.safe_load(block[1])


@contextlib.asynccontextmanager
async def account(control_plane, place, directory, role, binding, *, more=()):
    """The operator's own account with the chart's rules, in one namespace or (ClusterRole) in all."""
    client = place.client
    cluster_wide = role is CLUSTER_ROLES
    scope = None if cluster_wide else place.namespace
    name = f"operator-{place.namespace}"
    await client.create(ACCOUNTS, place.namespace, {"metadata": {"name": "operator"}})
    await client._json("POST", role.path(scope), body={"metadata": {"name": name}, "rules": [*rules(), *more]})
    bound = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": role.kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": place.namespace}],
    }
    await client._json("POST", binding.path(scope), body=bound)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    path = ACCOUNTS.path(place.namespace, "operator", "token")
    token = (await client._json("POST", path, body=request))["status"]["token"]
    kubeconfig = by_token(directory / "operator.kubeconfig", control_plane.url, control_plane.ca_file, token)
    try:
        async with running.connected(kubeconfig) as operator:
            yield operator
    finally:
        if cluster_wide:
            await client._json("DELETE", binding.path(None, name))
            await client._json("DELETE", role.path(None, name))


@pytest.fixture
async def restricted(control_plane, place, tmp_path):
    async with account(control_plane, place, tmp_path, ROLES, BINDINGS) as operator:
        yield operator


@pytest.fixture
async def everywhere(control_plane, place, tmp_path):
    async with account(control_plane, place, tmp_path, CLUSTER_ROLES, CLUSTER_BINDINGS) as operator:
        yield operator


@pytest.fixture
async def admitting(control_plane, place, tmp_path):
    more = rules("admissionRules")
    async with account(control_plane, place, tmp_path, CLUSTER_ROLES, CLUSTER_BINDINGS, more=more) as operator:
        yield operator


@pytest.fixture
async def choosing(control_plane, place, tmp_path):
    more = rules("selectorRules")
    async with account(control_plane, place, tmp_path, CLUSTER_ROLES, CLUSTER_BINDINGS, more=more) as operator:
        yield operator


async def test_the_whole_way_there_and_back_by_labels_with_the_right_to_read_them(place, rollouts, kubelet, choosing):
    with pytest.raises(errors.Forbidden):
        await choosing.patch(running.NAMESPACES, "", place.namespace, {"metadata": {"labels": {"x": "y"}}}, kind=MERGE)
    selector = parse(f"kubernetes.io/metadata.name={place.namespace}")
    await there_and_back(place, kubelet, choosing, namespace_selector=selector)


async def test_policies_with_the_right_to_write_them(place, rollouts, admitting):
    await place.workload()
    await place.tracing(rollout={"strategy": "Admission"})
    async with running.running(admitting):
        await eventually(lambda: ready(place))
        assert await policies_of(place)
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place))
        assert not await policies_of(place)


async def test_policies_without_the_right_to_write_them(place, rollouts, everywhere):
    await place.workload()
    await place.tracing(rollout={"strategy": "Admission"})
    async with running.running(everywhere):
        found = await eventually(lambda: reason(place, "Ready", "NotPermitted"))
        assert "admissionStrategy" in found["message"]
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place))


async def policies_of(place):
    selector = f"grpctracing.dev/namespace={place.namespace}"
    return [obj for resource in POLICIES for obj in await place.client.list(resource, selector=selector)]


async def test_the_whole_way_there_and_back_with_the_cluster_role(place, rollouts, kubelet, everywhere):
    for resource in (SECRETS, running.NAMESPACES, running.CRDS):
        with pytest.raises(errors.Forbidden):
            await everywhere.list(resource)
    await there_and_back(place, kubelet, everywhere)


async def test_the_whole_way_there_and_back_with_roles_only(place, rollouts, kubelet, restricted):
    with pytest.raises(errors.Forbidden):
        await restricted.list(DEPLOYMENTS)
    with pytest.raises(errors.Forbidden):
        await restricted.list(CONFIG_MAPS, "kube-system")
    await there_and_back(place, kubelet, restricted, place.namespace)


async def test_without_the_right_to_its_lease_the_operator_is_not_ready_and_says_why(place, restricted):
    await place.workload()
    await place.tracing()
    settings = dataclasses.replace(running.SETTINGS, watch_namespaces=(place.namespace,))
    engine = Engine(restricted, settings, running.PAYLOAD, Elector(restricted, Key(place.namespace, "operator"), 10))
    stop = asyncio.Event()
    task = asyncio.create_task(engine.run(stop))
    try:
        await eventually(lambda: "can't use Lease" in (engine.unready() or ""))
        assert "leases.coordination.k8s.io" in engine.unready()
        assert await place.clean(), "nobody works without it"
    finally:
        stop.set()
        await asyncio.wait_for(task, 15)


async def test_roles_are_enough_to_see_why_pods_crash(place, rollouts, restricted):
    with pytest.raises(errors.Forbidden):
        await restricted.list(PODS)
    rollouts.crashing.add("payment-service")
    await place.workload()
    await place.tracing()
    async with running.running(restricted, place.namespace):
        record = await eventually(lambda: taken_back(place), within=30)
    assert "CrashLoopBackOff" in record["evidence"]


async def taken_back(place):
    records = (await place.must("GrpcTracing", "default")).get("status", {}).get("reverted")
    return records[0] if records and await place.clean() else None


async def there_and_back(place, kubelet, operator, *namespaces, **settings):
    before = await place.workload()
    kubelet.images["registry.invalid/payment-service:1"] = says()
    await place.tracing(preflight="Auto")
    async with running.running(operator, *namespaces, **settings):
        await eventually(place.injected)
        assert len(kubelet.uids) == 1
        await eventually(lambda: ready(place))
        await eventually(lambda: told(place))
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place))
    assert (await place.must("Deployment", "payment-service"))["spec"] == before["spec"]
    assert await place.names("Deployment") == {"payment-service"}


async def ready(place):
    return (await place.conditions()).get("Ready", {}).get("status") == "True"


async def told(place):
    events = await place.client._json("GET", f"/api/v1/namespaces/{place.namespace}/events")
    return {event["reason"] for event in events["items"]} & {"Injected"}


async def gone(place):
    return await place.get("GrpcTracing", "default") is None
