"""Helm releases side by side in one cluster: which are let in, which are refused, and with what words."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from grpctracing.kube.client import MERGE
from tests.api.running import CRDS
from tests.cluster import tool

pytestmark = pytest.mark.api

CHART = Path(__file__).parents[2] / "charts" / "grpctracing-operator"


@pytest.fixture
def helm(control_plane):
    """Run Helm; returns what it complained of. Hooks are left out, for there is no node to run them."""
    installed = []

    def run(command, release, *namespaces, namespace="", **more):
        namespace = namespace or f"{release}-system"
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
            values = {"watchNamespaces": list(namespaces), "crds": {"install": False}} | more
            words += [str(CHART), "--values", "-"] + ["--create-namespace"] * (command == "install")
        given = json.dumps(values) if command != "uninstall" else None
        done = subprocess.run([tool("helm"), *words], input=given, capture_output=True, text=True, check=False)
        if done.returncode == 0 and command == "install":
            installed.append((release, namespace))
        if done.returncode == 0 and command == "uninstall":
            installed.remove((release, namespace))
        return done.stderr.strip() if done.returncode else ""

    yield run
    for release, namespace in installed.copy():
        run("uninstall", release, namespace=namespace)


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


def test_releases_with_selectors_of_their_own_share_the_cluster(helm):
    assert not helm("install", "tracing", namespace="team-a", namespaceSelector="team=a")
    assert not helm("install", "tracing", namespace="team-b", namespaceSelector="team=b"), "of the same name, too"
    said = helm("install", "three", namespaceSelector="team=a")
    assert 'Release "tracing" in namespace team-a works in namespaces with the labels "team=a" already' in said
    assert "works in namespaces with the labels" in helm("install", "three"), "all namespaces are these as well"
    assert not helm("install", "three", "default"), "a list of names: the operator looks whether they have the labels"
    assert not helm("upgrade", "tracing", namespace="team-b", namespaceSelector="team in (b, c)")
    said = helm("upgrade", "tracing", "default", namespace="team-b", namespaceSelector="team=b")
    assert "watchNamespaces and namespaceSelector are both set" in said


async def test_of_two_releases_one_has_the_definition(helm, client, crd):
    name = crd["metadata"]["name"]
    annotations = {"meta.helm.sh/release-name": "one", "meta.helm.sh/release-namespace": "one-system"}
    await client.patch(CRDS, "", name, {"metadata": {"annotations": annotations}}, kind=MERGE)
    try:
        said = helm("install", "two", "default", crds={"install": True, "keep": True})
        assert 'belongs to release "one" in namespace one-system: set crds.install to false' in said
        assert "meta.helm.sh/release-name=two" in said, "the way out where that one is gone"
    finally:
        gone = dict.fromkeys(annotations)
        await client.patch(CRDS, "", name, {"metadata": {"annotations": gone}}, kind=MERGE)
