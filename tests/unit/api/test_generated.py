"""The committed CRD, the chart's copy and the reference: up to date, and fit for an API server and a reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from grpctracing.api import crd
from grpctracing.api.__main__ import main, outputs
from grpctracing.api.base import VALIDATIONS

ROOT = Path(__file__).parents[3]


def nodes(schema, path=""):
    """Yield (path, node) of everything in a structural schema."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


NODES = [(path, node) for path, node in nodes(crd.schema()) if path]


@pytest.mark.parametrize("path", outputs())
def test_committed_file_is_what_the_models_say(path):
    assert (ROOT / path).read_text(encoding="utf-8") == outputs()[path], "run `make crds`"


def test_check_tells_what_is_stale_and_writes_nothing(tmp_path, capsys):
    assert main(["--check"], root=tmp_path) == 1
    assert capsys.readouterr().err.count("run `make crds`") == len(outputs())
    assert list(tmp_path.iterdir()) == []


def test_files_are_written_once_and_then_up_to_date(tmp_path, capsys):
    assert main([], root=tmp_path) == 0
    assert main(["--check"], root=tmp_path) == 0
    capsys.readouterr()
    assert main([], root=tmp_path) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("path", "node"), [pytest.param(path, node, id=path) for path, node in NODES if path != ".metadata"]
)
def test_every_node_is_bounded_and_described(path, node):
    if not path.endswith("[]"):
        assert node.get("description"), "a field without description"
    match node.get("type"):
        case "array":
            assert "maxItems" in node
            assert node["x-kubernetes-list-type"] in {"atomic", "map", "set"}
        case "string" if path not in {".apiVersion", ".kind"}:
            assert "maxLength" in node or "enum" in node
        case "object" if "additionalProperties" in node:
            assert "maxProperties" in node
        case "object":
            assert "properties" in node


def test_rules_name_the_field_and_say_what_to_do():
    messages = [entry["message"] for _, node in NODES for entry in node.get(VALIDATIONS, ())]
    assert len(messages) > 30
    assert not [message for message in messages if len(message) < 30]


def test_status_has_no_defaults_but_the_key_that_older_releases_did_not_write():
    found = {path: node["default"] for path, node in NODES if path.startswith(".status") and "default" in node}
    assert found == {".status.workloads[].kind": "Deployment", ".status.reverted[].kind": "Deployment"}


def test_reference_has_a_section_for_every_object_and_a_row_for_every_field():
    page = outputs()["docs/reference/api.md"]
    for path, node in NODES:
        if path.startswith(("spec", ".spec", ".status")) and "properties" in node:
            assert f"## `{path[1:]}`" in page
            assert all(f"| `{name}` |" in page for name in node["properties"])


def test_columns_tell_the_story_at_a_glance():
    version = crd.definition()["spec"]["versions"][0]
    names = [column["name"] for column in version["additionalPrinterColumns"]]
    assert names == ["Ready", "Matched", "Instrumented", "Sampler", "Age"]
    assert version["subresources"] == {"status": {}}
