"""The chart's values and their schema, and what the templates must never say: checks that need no Helm."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

CHART = Path(__file__).parents[3] / "charts" / "grpctracing-operator"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
HIGH_AVAILABILITY = yaml.safe_load((CHART / "values-ha.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = sorted((CHART / "templates").glob("*"))


def objects(node, path=""):
    """Yield (path, schema) of every object with named properties."""
    if node.get("properties"):
        yield path, node
        for name, child in node["properties"].items():
            yield from objects(child, f"{path}.{name}")
    if isinstance(node.get("items"), dict):
        yield from objects(node["items"], f"{path}[]")


def test_defaults_are_valid():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


def test_high_availability_is_more_than_one_replica_and_valid():
    jsonschema.validate(VALUES | HIGH_AVAILABILITY, SCHEMA)
    assert HIGH_AVAILABILITY["replicas"] == 2


def test_every_value_has_a_schema_and_a_default():
    assert set(SCHEMA["properties"]) - {"global"} == set(VALUES)


@pytest.mark.parametrize(
    ("path", "node"), [pytest.param(path, node, id=path or "values") for path, node in objects(SCHEMA)]
)
def test_misspelt_value_is_refused(path, node):
    assert node["additionalProperties"] is False


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replicas", 4),
        ("leaderElection.leaseSeconds", 1),
        ("leaderElection.leaseSeconds", "10"),
        ("replicas", "1"),
        ("watchNamespaces", "production"),
        ("watchNamespaces", ["a", "a"]),
        ("watchNamespaces", ["Bad_Name"]),
        ("namespaceSelector", ["team=a"]),
        ("logLevel", "verbose"),
        ("resyncSeconds", 1),
        ("otlpEndpoint", "collector:4317"),
        ("image.digest", "sha256:abc"),
        ("image.pullPolicy", "always"),
        ("image.repository", ""),
        ("crds.install", "yes"),
        ("uninstall.timeoutSeconds", 0),
        ("extraEnv", [{"value": "x"}]),
        ("resources", {"limit": {"memory": "1Gi"}}),
        ("podLabels", {"a": 1}),
        ("imagePullPolicy", "Always"),
    ],
)
def test_value_that_could_not_work_is_refused(path, value):
    values = copy.deepcopy(VALUES)
    *parents, last = path.split(".")
    place = values
    for parent in parents:
        place = place[parent]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, SCHEMA)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_grants_everything_or_reads_secrets(template):
    text = template.read_text()
    for word in ("cluster-admin", "'*'", '"*"', "[*]", "secrets"):
        assert word not in text.replace("imagePullSecrets", "")


def test_versions_of_chart_operator_and_project_agree():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    from grpctracing import __version__

    assert chart["appVersion"] == __version__
    assert f'version = "{__version__}"' in (CHART.parents[1] / "pyproject.toml").read_text()


@pytest.mark.parametrize(("part", "table"), [("rules", 1), ("admissionRules", 2), ("restartRules", 3)])
def test_the_rules_are_those_that_the_security_page_lists(part, table):
    text = (CHART / "templates" / "_helpers.tpl").read_text()
    block = re.search(r'define "grpctracing.' + part + r'" -\}\}\n(.*?)\{\{- end', text, re.DOTALL)
    given = [(rule["apiGroups"][0] or "core", rule["resources"], rule["verbs"]) for rule in yaml.safe_load(block[1])]
    page = (CHART.parents[1] / "docs" / "security.md").read_text()
    rows = page.split("| API group | resources | verbs |")[table].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]
    listed = [(group, resources.split(", "), verbs.split(", ")) for group, resources, verbs in cells]
    assert sorted(listed) == sorted(given)
