"""The chart as Helm renders it, and an API server with the namespaces that its tests install it for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.api.apiserver import Server
from tests.cluster import tool

if TYPE_CHECKING:
    from tests.cluster import ControlPlane

CHART = Path(__file__).parents[2] / "charts" / "grpctracing-operator"
NAMESPACE = "chart-release"
WATCHED = ("chart-team-a", "chart-team-b")
NAME = "release-grpctracing-operator"


def helm(*words: str, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run Helm with *values* on its standard input."""
    command = [str(tool("helm")), *words, "--values", "-"]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def render(values: dict[str, Any], release: str = "release") -> list[dict[str, Any]]:
    """Return the objects of the chart, hooks too."""
    done = helm("template", release, str(CHART), "--namespace", NAMESPACE, values=values)
    assert done.returncode == 0, done.stderr
    return [obj for obj in yaml.safe_load_all(done.stdout) if obj]


def one(objects: list[dict[str, Any]], kind: str, name: str = NAME) -> dict[str, Any]:
    (found,) = [obj for obj in objects if obj["kind"] == kind and obj["metadata"]["name"] == name]
    return found


def prepared(control_plane: ControlPlane) -> Server:
    """Return the API server, with namespaces in which only restricted pods are let in."""
    server = Server(control_plane)
    for name in (NAMESPACE, *WATCHED):
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        assert server.apply(namespace, dry_run=False)[0] in {200, 201}
    return server
