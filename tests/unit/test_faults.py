"""docs/faults.md and the tests of faults say the same: no row without a test, no test without a row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"test_a_quota_that_refuses_the_pod_is_told_and_holds_nobody_up": "tests/api/test_operator_preflight.py"}


def cases_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {name for name in found if name.startswith("test_")}


def test_each_row_has_its_test_and_each_test_its_row():
    rows = re.findall(r"^\|.*\| `(test_\w+)` \|$", (ROOT / "docs" / "faults.md").read_text("utf-8"), re.MULTILINE)
    here = set().union(*(cases_of(path) for path in (ROOT / "tests" / "api" / "faults").glob("test_*.py")))
    elsewhere = {name for name, path in ELSEWHERE.items() if name in cases_of(ROOT / path)}
    assert len(rows) == len(set(rows))
    assert set(rows) == here | elsewhere
