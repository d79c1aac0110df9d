"""From v1alpha1 to a next version of the API, as docs/operations.md tells it, on an API server of its own."""

from __future__ import annotations

import copy

import pytest
import yaml

from grpctracing.api import GrpcTracing
from tests.api.apiserver import CRD, OBJECTS, eventually, serving
from tests.api.rest import MERGE
from tests.cluster import ControlPlane
from tests.unit.api.objects import manifest

pytestmark = pytest.mark.api

NAME = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/grpctracings.grpctracing.dev"
NEXT = "v1alpha2"
NEXT_OBJECTS = OBJECTS.replace("v1alpha1", NEXT)


@pytest.fixture(scope="module")
def server():
    with ControlPlane() as plane:
        yield serving(plane)


def definition(stored):
    """Both versions with the same fields, as long as a next one only adds some; one of them is stored."""
    crd = yaml.safe_load(CRD.read_text())
    (first,) = crd["spec"]["versions"]
    second = copy.deepcopy(first) | {"name": NEXT}
    second["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["addedLater"] = {"type": "string"}
    crd["spec"]["versions"] = [version | {"storage": version["name"] == stored} for version in (first, second)]
    return crd


def served(server, version):
    """Whether the objects of a version are there (the answer of a path that is not served is not JSON)."""
    try:
        return server.call("GET", f"{version}/old")[0] == 200
    except ValueError:
        return False


def stored(server):
    return server.get(NAME)["status"]["storedVersions"]


def test_objects_move_to_a_next_version_and_the_old_one_can_go(server):
    old = manifest({"sampler": {"type": "always_on"}}, name="old")
    server.ok("POST", OBJECTS, old)
    before = server.get(f"{OBJECTS}/old")

    assert server.apply(definition("v1alpha1"), dry_run=False)[0] == 200  # 1: served besides, nothing stored yet
    eventually(lambda: served(server, NEXT_OBJECTS))
    assert server.get(f"{NEXT_OBJECTS}/old")["spec"] == before["spec"]

    assert server.apply(definition(NEXT), dry_run=False)[0] == 200  # 2: stored from now on
    eventually(lambda: stored(server) == ["v1alpha1", NEXT])
    seen = GrpcTracing.model_validate(server.get(f"{OBJECTS}/old"))
    assert seen.spec.sampler.type == "always_on", "an operator of the old release still reads it"
    newer = manifest({"sampler": {"type": "always_off"}}, name="new") | {"apiVersion": f"grpctracing.dev/{NEXT}"}
    eventually(lambda: server.create(newer, dry_run=False)[0] in {201, 409})
    assert GrpcTracing.model_validate(server.get(f"{OBJECTS}/new")).spec.sampler.type == "always_off"

    only = definition(NEXT)
    only["spec"]["versions"] = only["spec"]["versions"][1:]
    status, refusal = server.apply(only, dry_run=False)
    assert status == 422, "while anything may be stored in the old version it can't be dropped"
    assert "storedVersions" in str(refusal)

    for name in ("old", "new"):  # 3: each is written once, unchanged
        generation = server.get(f"{NEXT_OBJECTS}/{name}")["metadata"]["generation"]
        server.ok("PATCH", f"{NEXT_OBJECTS}/{name}", {}, MERGE)
        assert server.get(f"{NEXT_OBJECTS}/{name}")["metadata"]["generation"] == generation, (
            "no change for the operator"
        )
    server.ok("PATCH", f"{NAME}/status", {"status": {"storedVersions": [NEXT]}}, MERGE)

    assert server.apply(only, dry_run=False)[0] == 200  # 4: the old one goes
    eventually(lambda: not served(server, OBJECTS))
    assert server.get(f"{NEXT_OBJECTS}/old")["spec"] == before["spec"]
