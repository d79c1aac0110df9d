"""Helm releases side by side in one cluster: which are let in, which are refused, and with what words."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cluster import tool

pytestmark = pytest.mark.api

CHART = Path(__file__).parents[2] / "charts" / "grpctracing-operator"


@pytest.fixture
def helm(control_plane):
    """Run Helm; returns what it complained of. Hooks are left out, for there is no node to run them."""
    installed = []

    def run(command, release, *namespaces):
        namespace = f"{release}-system"
        words = [
            command,
            release,
            "--namespace",
            namespace,
            "--no-hooks",
            "--kubeconfig",
            str(control_plane.kubeconfig),
        ]
        if command != "uninstall":
            values = {"watchNamespaces": list(namespaces), "crds": {"install": False}}
            words += [str(CHART), "--values", "-"] + ["--create-namespace"] * (command == "install")
        given = json.dumps(values) if command != "uninstall" else None
        done = subprocess.run([tool("helm"), *words], input=given, capture_output=True, text=True, check=False)
        if done.returncode == 0 and command == "install":
            installed.append(release)
        if done.returncode == 0 and command == "uninstall":
            installed.remove(release)
        return done.stderr.strip() if done.returncode else ""

    yield run
    for release in installed.copy():
        run("uninstall", release)


def test_a_second_release_for_the_same_namespaces_is_refused(helm):
    assert not helm("install", "one")
    assert 'Release "one" in namespace one-system works in all namespaces already' in helm("install", "two")
    assert not helm("upgrade", "one"), "it is not in its own way"
    assert not helm("uninstall", "one")

    assert not helm("install", "two", "default")
    assert 'Release "two" in namespace two-system works in namespace default already' in helm(
        "install", "three", "default"
    )
    assert "works in namespace default already" in helm("install", "one"), "all namespaces are these as well"
    assert not helm("install", "three", "kube-public"), "each has its own"
    assert not helm("upgrade", "two", "default")
