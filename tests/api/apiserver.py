"""Manifests against the API server's own schemas: create or apply with strict field validation, as a dry run or not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.api.rest import APPLY, Rest
from tests.unit.api.objects import manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster import ControlPlane

CRD = Path(__file__).parents[2] / "crds" / "grpctracing.dev_grpctracings.yaml"
OBJECTS = "/apis/grpctracing.dev/v1alpha1/namespaces/default/grpctracings"
PLURALS = {"NetworkPolicy": "networkpolicies"}
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}


class Server(Rest):
    """Calls with whole objects; each returns (HTTP status, decoded body)."""

    def apply(self, obj: dict[str, Any], *, dry_run: bool = True) -> tuple[int, Any]:
        """Server-side apply *obj*."""
        query = "?fieldManager=test&force=true&fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        return self.call("PATCH", f"{collection(obj)}/{obj['metadata']['name']}{query}", obj, APPLY)

    def create(self, obj: dict[str, Any], *, dry_run: bool = True) -> tuple[int, Any]:
        """Create *obj*."""
        return self.call("POST", collection(obj) + "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else ""), obj)

    def remove(self, obj: dict[str, Any]) -> None:
        """Delete *obj*, if it is there."""
        status, body = self.call("DELETE", f"{collection(obj)}/{obj['metadata']['name']}")
        assert status in {200, 202, 404}, body

    def serves(self, obj: dict[str, Any]) -> bool:
        """Whether objects of this kind can be created yet (the answer of a path that is not served is not JSON)."""
        try:
            return self.create(obj)[0] == 201
        except ValueError:
            return False


def serving(control_plane: ControlPlane) -> Server:
    """Return the API server with the committed CRD in force."""
    server = Server(control_plane)
    status, body = server.apply(yaml.safe_load(CRD.read_text()), dry_run=False)
    assert status in {200, 201}, body
    eventually(lambda: server.serves(manifest()))
    return server


def collection(obj: dict[str, Any]) -> str:
    """Return the URL path of the collection that *obj* belongs to."""
    version = obj["apiVersion"]
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = PLURALS.get(obj["kind"], obj["kind"].lower() + "s")
    if obj["kind"] in CLUSTER_SCOPED:
        return f"{base}/{plural}"
    return f"{base}/namespaces/{obj['metadata'].get('namespace', 'default')}/{plural}"


def eventually(check: Callable[[], Any], detail: Callable[[], str] = str, *, within: float = 40.0) -> None:
    """Return when *check* holds; fail with *detail* when it does not in time (seconds)."""
    deadline = time.monotonic() + within
    while not check():
        assert time.monotonic() < deadline, detail()
        time.sleep(0.1)
