"""docs/flows and the code say the same: each function that is named there exists, and one further in is named in one further out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"(?<![\w/.-])([a-z_]+)/([a-z_]+)\.([a-z_]+)\b(?!/)")
SHORT = re.compile(r"(?<![\w/.-])([a-z_]+)\.([a-z_]+)\b(?!/)")


@cache
def functions(folder: str, module: str) -> dict[str, set[str]]:
    """Return the functions of a module, each with all names in its body."""
    base = "sidecar/payload" if folder == "_grpctracing" else "operator/grpctracing"
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse((ROOT / base / folder / f"{module}.py").read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            words = {getattr(inner, "id", getattr(inner, "attr", "")) for inner in ast.walk(node)}
            found.setdefault(node.name, set()).update(words)
    return found


@pytest.mark.parametrize("flow", ["create", "change", "revert"])
def test_each_function_of_a_flow_exists_and_is_named_by_one_that_it_stands_in(flow):
    around: list[tuple[int, set[str]]] = []
    for line in (ROOT / "docs" / "flows" / f"{flow}.md").read_text("utf-8").splitlines():
        depth = len(line) - len(line.lstrip())
        for folder, module, function in NAME.findall(line):
            assert function in functions(folder, module), line
        for module, function in SHORT.findall(line):
            paths = list((ROOT / "operator" / "grpctracing").glob(f"*/{module}.py"))
            assert not paths or any(function in functions(path.parent.name, module) for path in paths), line
        first = NAME.match(line.lstrip()) if depth >= 4 else None
        if first is None:
            continue
        around = [(column, words) for column, words in around if column < depth]
        assert not around or any(first[3] in words for _, words in around), line
        around.append((depth, functions(first[1], first[2])[first[3]]))
