"""The chart, rendered by Helm over a matrix of values: every object fits the API server, and says what it is meant to."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.api.chart import CHART, NAME, NAMESPACE, WATCHED, helm, one, prepared, render
from tests.cluster import tool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.api

MATRIX: dict[str, dict[str, Any]] = {
    "defaults": {},
    "namespaced": {"watchNamespaces": list(WATCHED)},
    "namespaced with its own namespace": {"watchNamespaces": [NAMESPACE]},
    "by labels": {"namespaceSelector": "shard in (a, b)", "admissionStrategy": True},
    "high availability": yaml.safe_load((CHART / "values-ha.yaml").read_text()),
    "everything on": {
        "replicas": 3,
        "leaderElection": {"leaseSeconds": 30},
        "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": [{"name": "registry"}], "pullPolicy": "Always"},
        "collectorImage": "example.com/collector:1",
        "networkPolicy": {"enabled": True},
        "otlpEndpoint": "http://collector.monitoring:4317",
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "platform"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "serviceAccount": {"create": True, "name": "operator", "annotations": {"a": "b"}},
        "metrics": {"service": {"enabled": True, "annotations": {"prometheus.io/scrape": "true"}}},
        "crds": {"install": True, "keep": False},
        "admissionStrategy": True,
        "restartExisting": True,
    },
    "everything off": {
        "replicas": 0,
        "crds": {"install": False},
        "uninstall": {"enabled": False},
        "rbac": {"create": False},
        "serviceAccount": {"create": False},
        "metrics": {"service": {"enabled": False}},
        "podDisruptionBudget": {"enabled": False},
    },
}


@pytest.fixture(scope="module")
def server(control_plane):
    return prepared(control_plane)


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_lint_finds_nothing(values):
    done = helm("lint", "--strict", str(CHART), values=values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_every_object_fits_the_api_server(server, values):
    for obj in render(values):
        status, body = server.apply(obj)
        assert status in {200, 201}, f"{obj['kind']} {obj['metadata']['name']}: {body['message']}"


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_every_object_fits_the_published_schemas(schemas, values):
    done = conform(schemas, render(values))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Skipped: 0" in done.stdout


def test_published_schemas_refuse_what_is_wrong_so_the_test_above_means_something(schemas):
    deployment = one(render({}), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolize"] = "Always"
    done = conform(schemas, [deployment])
    assert done.returncode != 0
    assert "imagePullPolize" in done.stdout + done.stderr


def conform(schemas: Path, objects: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    location = str(schemas / "{{ .ResourceKind }}{{ .KindSuffix }}.json")
    command = [str(tool("kubeconform")), "-strict", "-summary", "-schema-location", location, "-"]
    return subprocess.run(command, input=yaml.safe_dump_all(objects), capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def schemas(server, tmp_path_factory):
    """JSON schemas of every kind, strict, made from what the API server publishes."""
    home = tmp_path_factory.mktemp("schemas")
    _, published = server.call("GET", "/openapi/v2")
    definitions = {name: strict(definition) for name, definition in published["definitions"].items()}
    (home / "definitions.json").write_text(
        json.dumps({"definitions": definitions}).replace('"#/def', '"definitions.json#/def')
    )
    for name, definition in published["definitions"].items():
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            suffix = "-".join(filter(None, (kind["group"].split(".")[0], kind["version"])))
            target = {"$ref": f"definitions.json#/definitions/{name}"}
            (home / f"{kind['kind']}-{suffix}.json".lower()).write_text(json.dumps(target))
    return home


def strict(definition: dict[str, Any]) -> dict[str, Any]:
    """Refuse unknown fields; what is published as text but may be a number too is not judged."""
    if "properties" in definition:
        return {**definition, "additionalProperties": False}
    return {} if definition.get("format") == "int-or-string" else definition


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_pods_fit_the_restricted_pod_security_standard(server, kind):
    name = NAME if kind == "Deployment" else f"{NAME}-uninstall"
    objects = render({})
    assert server.apply(one(objects, "ServiceAccount"), dry_run=False)[0] in {200, 201}
    template = one(objects, kind, name)["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] |= {"name": "probe", "namespace": NAMESPACE}
    status, body = server.create(pod)
    assert status == 201, body["message"]
    assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in template["spec"]["containers"])


def test_definition_is_upgraded_with_the_chart_and_kept_by_uninstall():
    crd = one(render({}), "CustomResourceDefinition", "grpctracings.grpctracing.dev")
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    committed = yaml.safe_load((CHART.parents[1] / "crds" / "grpctracing.dev_grpctracings.yaml").read_text())
    assert crd["spec"] == committed["spec"]


def test_definition_goes_with_the_release_when_told_so():
    crd = one(render({"crds": {"keep": False}}), "CustomResourceDefinition", "grpctracings.grpctracing.dev")
    assert "annotations" not in crd["metadata"]


def test_namespaced_installation_has_roles_only():
    kinds = [(obj["kind"], obj["metadata"].get("namespace")) for obj in render({"watchNamespaces": list(WATCHED)})]
    assert not {"ClusterRole", "ClusterRoleBinding"} & {kind for kind, _ in kinds}
    assert {place for kind, place in kinds if kind == "Role"} == {*WATCHED, NAMESPACE}


def test_uninstall_hook_runs_before_anything_is_deleted_with_the_operators_account():
    objects = render({})
    job = one(objects, "Job", f"{NAME}-uninstall")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == one(objects, "ServiceAccount")["metadata"]["name"]
    assert pod["containers"][0]["args"] == ["uninstall"]
    env = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    assert env["GRPCTRACING_OPERATOR_DEPLOYMENT"] == f"{NAMESPACE}/{NAME}"


def test_every_replica_wants_the_same_lease_and_they_are_spread():
    objects = render(MATRIX["high availability"])
    spec = one(objects, "Deployment")["spec"]
    env = {entry["name"]: entry["value"] for entry in spec["template"]["spec"]["containers"][0]["env"]}
    assert (spec["replicas"], env["GRPCTRACING_LEASE"]) == (2, f"{NAMESPACE}/{NAME}")
    assert env["GRPCTRACING_LEASE_SECONDS"] == "10"
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway", "one node must do"


def test_service_and_budget_select_the_operator_and_not_the_hook():
    objects = render({})
    labels = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    hook = one(objects, "Job", f"{NAME}-uninstall")["spec"]["template"]["metadata"]["labels"]
    for selector in (
        one(objects, "Service")["spec"]["selector"],
        one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(objects, "Deployment")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
        assert not selector.items() <= hook.items()


@pytest.mark.parametrize(
    ("values", "granted"),
    [({}, False), ({"admissionStrategy": True}, True), ({"admissionStrategy": True, "watchNamespaces": ["a"]}, False)],
    ids=["by default", "asked for", "asked for in some namespaces"],
)
def test_the_right_to_change_anything_is_granted_only_where_it_is_asked_for(values, granted):
    text = yaml.safe_dump([obj for obj in render(values) if obj["kind"] in {"Role", "ClusterRole"}])
    assert ("mutatingadmissionpolicies" in text) is granted


@pytest.mark.parametrize(
    ("values", "granted"),
    [
        ({"admissionStrategy": True}, False),
        ({"restartExisting": True}, False),
        ({"admissionStrategy": True, "restartExisting": True}, True),
    ],
    ids=["not asked for", "no policies", "both"],
)
def test_the_right_to_evict_is_granted_only_where_it_is_asked_for(values, granted):
    text = yaml.safe_dump([obj for obj in render(values) if obj["kind"] in {"Role", "ClusterRole"}])
    assert ("pods/eviction" in text) is granted


def test_two_releases_of_one_name_have_nothing_in_common_outside_of_their_namespaces():
    def shared(namespace):
        done = helm(
            "template", "r", str(CHART), "--namespace", namespace, values={"namespaceSelector": f"team={namespace}"}
        )
        objects = [obj for obj in yaml.safe_load_all(done.stdout) if obj and "namespace" not in obj["metadata"]]
        return {(obj["kind"], obj["metadata"]["name"]) for obj in objects}

    assert shared("a") & shared("b") == {("CustomResourceDefinition", "grpctracings.grpctracing.dev")}
    assert {kind for kind, _ in shared("a")} == {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}


def test_namespaces_may_be_read_only_where_labels_choose_them():
    for values in ({}, {"namespaceSelector": "team=a"}):
        (role,) = [obj for obj in render(values) if obj["kind"] == "ClusterRole"]
        granted = [rule["verbs"] for rule in role["rules"] if "namespaces" in rule["resources"]]
        assert granted == ([["get", "list", "watch"]] if values else [])


def test_longest_release_name_gives_valid_names(server):
    for obj in render({"watchNamespaces": [NAMESPACE]}, release="r" * 53):
        status, body = server.apply(obj)
        assert status in {200, 201}, body["message"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"replica": 1}, "replica", id="misspelt"),
        pytest.param({"replicas": 4}, "replicas", id="too many"),
        pytest.param({"watchNamespaces": "production"}, "watchNamespaces", id="text for a list"),
        pytest.param({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy", id="unknown policy"),
    ],
)
def test_values_that_could_not_work_are_refused_by_name(values, words):
    done = helm("template", "release", str(CHART), values=values)
    assert done.returncode != 0
    assert words in done.stderr


def test_notes_say_what_to_do_next():
    done = helm("install", "release", str(CHART), "--dry-run=client", "--namespace", NAMESPACE, values={})
    assert done.returncode == 0, done.stderr
    notes = done.stdout.split("NOTES:")[1]
    for words in ("kubectl annotate deployment", "kind: GrpcTracing", "kubectl get gtr", "helm uninstall"):
        assert words in notes
