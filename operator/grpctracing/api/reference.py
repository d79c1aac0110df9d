"""The API reference in Markdown, made from the CRD itself: what the API server enforces is what a reader is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INTRODUCTION: Final = """\
# API reference: `GrpcTracing`

<!-- Written by `make crds` from operator/grpctracing/api. Change it there. -->

`apiVersion: grpctracing.dev/v1alpha1`, namespaced, short name `gtr`. Every section is one object of the YAML. Defaults stand in
the table; where a whole object is absent, the defaults of its fields hold. The API server checks all that is
written here when the object is written, and says which field is wrong and what to write instead.
"""


def text(definition: Mapping[str, Any]) -> str:
    """Return the page for a CustomResourceDefinition."""
    version = definition["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    sections = [INTRODUCTION]
    for part in ("spec", "status"):
        sections += _sections(part, schema["properties"][part])
    rules = _bullets(schema)
    if rules:
        sections.insert(1, "\n".join(["## Rules on the whole object", "", *rules, ""]))
    sections.append(_columns(version["additionalPrinterColumns"]))
    return "\n".join(sections)


def _sections(path: str, node: Mapping[str, Any]) -> Iterator[str]:
    lines = [
        f"## `{path}`",
        "",
        node.get("description", ""),
        "",
        "| field | type | default | what it is |",
        "|---|---|---|---|",
    ]
    required = node.get("required", ())
    below: list[str] = []
    for name, child in node["properties"].items():
        default = "required" if name in required else _default(child)
        lines.append(
            f"| `{name}` | {_type(child)} | {default} | {_cell(child.get('description', ''))}{_bounds(child)} |"
        )
        inner, suffix = (child["items"], "[]") if child.get("type") == "array" else (child, "")
        if "properties" in inner:
            below += _sections(f"{path}.{name}{suffix}", inner)
    bullets = _bullets(node) + [line for child in node["properties"].values() for line in _rules_of(child)]
    if bullets:
        lines += ["", "Rules:", "", *bullets]
    yield "\n".join([*lines, ""])
    yield from below


def _rules_of(node: Mapping[str, Any]) -> list[str]:
    """Return the rules of a field; an object, also one in a list, tells them in its own section."""
    parts = (node, node.get("items", {}))
    return [line for part in parts if "properties" not in part for line in _bullets(part)]


def _bullets(node: Mapping[str, Any]) -> list[str]:
    return [f"- {_cell(entry['message'])}" for entry in node.get("x-kubernetes-validations", ())]


def _type(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}"
    if node.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if isinstance(node.get("additionalProperties"), dict):
        return f"map of {_type(node['additionalProperties'])}"
    return str(node["type"])


def _default(node: Mapping[str, Any]) -> str:
    if "default" not in node or node["default"] == {}:
        return ""
    flow = yaml.safe_dump(node["default"], default_flow_style=True, width=1000).strip().removesuffix("\n...")
    return f"`{flow}`"


def _bounds(node: Mapping[str, Any]) -> str:
    least, most = node.get("minimum"), node.get("maximum")
    bounds = [f"{least} to {most}"] if most is not None else []
    bounds += [f"at most {node[key]} entries" for key in ("maxItems", "maxProperties") if key in node]
    return f" ({', '.join(bounds)})" if bounds else ""


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("*", "\\*").replace("\n", " ")


def _columns(columns: list[Mapping[str, str]]) -> str:
    rows = [f"| {column['name']} | `{column['jsonPath']}` | {column['description']} |" for column in columns]
    return "\n".join(
        ["## Columns of `kubectl get gtr`", "", "| column | from | what it is |", "|---|---|---|", *rows, ""]
    )
