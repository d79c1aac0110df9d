"""From one release to the next, each on an API server of its own: old objects load, definitions are renewed and kept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from grpctracing.api import GrpcTracing
from tests.api.apiserver import CRD, OBJECTS, Server, eventually, serving
from tests.api.rest import MERGE
from tests.cluster import ControlPlane, tool
from tests.unit.api.objects import manifest

pytestmark = pytest.mark.api

CHART = Path(__file__).parents[2] / "charts" / "grpctracing-operator"


@pytest.fixture
def plane():
    with ControlPlane() as plane:
        yield plane


def test_object_stored_by_another_release_loads_and_can_be_let_go(plane):
    """Its spec would be refused today; what does not change is not validated again, so its finalizer can go."""
    server = serving(plane)
    loose = yaml.safe_load(CRD.read_text())
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = free
    assert server.apply(loose, dry_run=False)[0] == 200
    old = manifest({"sampler": {"type": "always_on"}, "exporter": "jaeger"}, name="old")
    old["spec"] |= {"keep": {"slow": "1s"}, "env": [{"name": "PATH", "value": "/"}]}
    old["metadata"]["finalizers"] = ["grpctracing.dev/revert"]
    eventually(lambda: server.create(old, dry_run=False)[0] in {201, 409})
    serving(plane)
    eventually(lambda: "propagators" in server.call("GET", f"{OBJECTS}/old")[1].get("spec", {}))
    seen = GrpcTracing.model_validate(server.get(f"{OBJECTS}/old"))
    assert seen.spec.sampler.type == "always_on"
    assert seen.spec.keep.errors
    assert seen.spec.env[0].name == "PATH"
    server.ok("PATCH", f"{OBJECTS}/old", {"metadata": {"finalizers": None}}, MERGE)
    server.ok("DELETE", f"{OBJECTS}/old")


@pytest.fixture
def release(plane, tmp_path):
    """Run Helm commands on a copy of the chart; hooks are left out, for there is no node to run them."""
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)

    def run(command: str, *words: str) -> None:
        words = (command, "release", *words, "--namespace", "release", "--kubeconfig", str(plane.kubeconfig))
        done = subprocess.run([tool("helm"), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    run.chart, run.server = chart, Server(plane)
    return run


def test_upgrade_renews_the_definition_and_uninstall_keeps_it_and_its_objects(release):
    name = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/grpctracings.grpctracing.dev"
    release("install", str(release.chart), "--create-namespace", "--no-hooks")
    eventually(lambda: release.server.serves(manifest()))
    assert release.server.create(manifest(), dry_run=False)[0] == 201
    definition = next((release.chart / "files").iterdir())
    definition.write_text(definition.read_text().replace("Head sampler.", "Head sampler, renewed."))
    release("upgrade", str(release.chart), "--no-hooks")
    columns = release.server.get(name)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert columns[3]["description"] == "Head sampler, renewed."
    release("uninstall", "--no-hooks")
    eventually(
        lambda: release.server.call("GET", f"{OBJECTS}/default")[0] == 200
    )  # 429 while the API server takes a new definition in
    release("install", str(release.chart), "--no-hooks")  # takes the kept definition over again
