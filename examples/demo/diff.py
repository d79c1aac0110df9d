"""What happened to a Deployment, as a diff that reads well. Pure: two objects in, text out."""

from __future__ import annotations

import difflib
from typing import Any

import yaml
from examples.demo.terminal import paint, shorten

FIRST = ("name", "image")
CONTEXT = 2  # unchanged lines around a change
ONE_LINE = 160  # characters of a mapping that is still written in one line


def render(before: dict[str, Any], after: dict[str, Any], *, width: int = 10_000, colour: bool = False) -> str:
    """Return the changes of the pod template from *before* to *after* as a unified diff of YAML; `no difference` if none."""
    old, new = template(before), template(after)
    if old == new:
        return "no difference"
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=CONTEXT, lineterm=""))[2:]
    return "\n".join(_line(shorten(line, width), colour=colour) for line in lines)


def template(deployment: dict[str, Any]) -> str:
    """Return the pod template as YAML, env entries one per line."""
    return yaml.dump(
        _ordered({"spec": {"template": deployment["spec"]["template"]}}), Dumper=_Compact, sort_keys=False, width=10_000
    )


def _ordered(value: Any) -> Any:
    """Return *value* with the keys of each mapping in the order in which people write them: what it is called comes first."""
    if isinstance(value, dict):
        return {
            key: _ordered(value[key])
            for key in sorted(value, key=lambda key: (FIRST.index(key) if key in FIRST else len(FIRST), key))
        }
    return [_ordered(each) for each in value] if isinstance(value, list) else value


class _Compact(yaml.SafeDumper):
    """Block style, but a mapping that fits in a line (an env entry, a mount) stays in one."""

    def increase_indent(self, flow=False, **_indentless):  # noqa: FBT002 - lists are indented below their key, as people write them
        return super().increase_indent(flow=flow, indentless=False)


def _mapping(dumper: yaml.SafeDumper, data: dict[str, Any]) -> yaml.Node:
    small = "name" in data and "image" not in data and len(str(data)) <= ONE_LINE
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=small or None)


_Compact.add_representer(dict, _mapping)


def _line(line: str, *, colour: bool) -> str:
    style = {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "")
    return paint("…" if line.startswith("@@") else line, style, colour=colour)
