"""What the operator may do, asked of the real authorizer with the chart's roles installed."""

from __future__ import annotations

import asyncio

import pytest

from grpctracing.kube.lease import Elector
from grpctracing.kube.resources import LEASES, Key
from tests.api.chart import NAMESPACE, WATCHED, prepared, render
from tests.api.running import connected, eventually
from tests.cluster.kubeconfig import by_token

pytestmark = pytest.mark.api


@pytest.fixture(scope="module")
def server(control_plane):
    return prepared(control_plane)


ALLOWED = [
    ("list", "apps", "deployments", ""),
    ("patch", "apps", "deployments", ""),
    ("create", "apps", "deployments", ""),
    ("patch", "apps", "statefulsets", ""),
    ("watch", "apps", "daemonsets", ""),
    ("list", "apps", "controllerrevisions", ""),
    ("watch", "grpctracing.dev", "grpctracings", ""),
    ("patch", "grpctracing.dev", "grpctracings", ""),
    ("patch", "grpctracing.dev", "grpctracings", "status"),
    ("update", "grpctracing.dev", "grpctracings", "finalizers"),
    ("patch", "", "configmaps", ""),
    ("delete", "", "services", ""),
    ("create", "", "serviceaccounts", ""),
    ("watch", "policy", "poddisruptionbudgets", ""),
    ("create", "", "events", ""),
    ("create", "", "pods", ""),
    ("delete", "", "pods", ""),
]
DENIED = [
    ("get", "", "secrets", ""),
    ("list", "", "secrets", ""),
    ("patch", "", "pods", ""),
    ("update", "", "pods", ""),
    ("create", "", "pods", "exec"),
    ("get", "", "pods", "log"),
    ("create", "", "serviceaccounts", "token"),
    ("update", "apps", "deployments", ""),
    ("create", "apps", "statefulsets", ""),
    ("delete", "apps", "daemonsets", ""),
    ("patch", "apps", "replicasets", ""),
    ("patch", "batch", "jobs", ""),
    ("create", "grpctracing.dev", "grpctracings", ""),
    ("delete", "grpctracing.dev", "grpctracings", ""),
    ("create", "rbac.authorization.k8s.io", "roles", ""),
    ("escalate", "rbac.authorization.k8s.io", "roles", ""),
    ("impersonate", "", "users", ""),
]


@pytest.fixture(scope="module", params=["cluster", "namespaced"])
def may(request, server):
    """Ask whether the operator's account may do something in a namespace that it works in."""
    release = f"rbac-{request.param}"
    rendered = render({"watchNamespaces": [WATCHED[0]] if request.param == "namespaced" else []}, release=release)
    objects = [
        obj
        for obj in rendered
        if obj["kind"] in {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"}
    ]
    for obj in objects:
        status, body = server.apply(obj, dry_run=False)
        assert status in {200, 201}, body["message"]

    def ask(verb: str, group: str, resource: str, subresource: str, namespace: str = WATCHED[0], name="") -> bool:
        attributes = {
            "namespace": namespace,
            "name": name,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
        }
        user = f"system:serviceaccount:{NAMESPACE}:{release}-grpctracing-operator"
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": attributes},
        }
        status, body = server.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        assert status == 201, body
        return bool(body["status"]["allowed"])

    ask.release = release
    yield ask
    for obj in objects:  # else another release would be refused
        server.remove(obj)


@pytest.mark.parametrize("what", ALLOWED, ids="-".join)
def test_operator_may(may, what):
    assert may(*what)


@pytest.mark.parametrize("what", DENIED, ids="-".join)
def test_operator_may_not(may, what):
    assert not may(*what)


def test_namespaced_operator_may_nothing_elsewhere(may):
    elsewhere = [what for what in ALLOWED if may(*what, namespace=WATCHED[1])]
    assert elsewhere == ([] if may.release == "rbac-namespaced" else ALLOWED)


LEASE = ("coordination.k8s.io", "leases", "")


@pytest.mark.parametrize("verb", ["get", "watch", "patch", "delete"])
def test_operator_may_use_its_own_lease_and_no_other(may, verb):
    own = f"{may.release}-grpctracing-operator"
    assert may(verb, *LEASE, namespace=NAMESPACE, name=own)
    assert not may(verb, *LEASE, namespace=NAMESPACE, name="another")
    assert not may(verb, *LEASE, namespace=WATCHED[0], name=own)
    assert not may(verb, *LEASE, namespace="kube-system", name="kube-controller-manager")


def test_operator_may_create_leases_in_its_own_namespace_only(may):
    assert may("create", *LEASE, namespace=NAMESPACE)
    assert not may("create", *LEASE, namespace=WATCHED[0])


async def test_the_rights_are_enough_for_an_election(may, server, control_plane, tmp_path, caplog):
    name = f"{may.release}-grpctracing-operator"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    status, body = server.call("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{name}/token", request)
    assert status == 201, body
    kubeconfig = by_token(tmp_path / "kubeconfig", control_plane.url, control_plane.ca_file, body["status"]["token"])
    async with connected(kubeconfig) as client:
        first, second = (Elector(client, Key(NAMESPACE, name), 300) for _ in range(2))
        await asyncio.wait_for(first.acquire(), 15)
        standing_by = asyncio.create_task(second.acquire())
        await eventually(lambda: second._seen)
        await first.release()
        await asyncio.wait_for(standing_by, 15)
        await client.delete(LEASES, await client.get(LEASES, NAMESPACE, name))
    assert "election failed" not in caplog.messages, "the watch is allowed too"
