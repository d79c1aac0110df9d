"""docs/survival.md names tests: each of them is there."""

import re

from tests.bootstrap.process import ROOT

PLACE = ROOT / "tests" / "bootstrap"
ROW = re.compile(r"^\| (?!what happens|---)(?:.*?) \| (?:.*?) \| (.*) \|$", re.MULTILINE)
NAME = re.compile(r"`(?:([a-z_/]+\.py)::)?(test_\w+)`")


def named():
    """Yield (file, test) of each test in the table; a name without a file is of the file before it in its row."""
    for (cell,) in (row.groups() for row in ROW.finditer((ROOT / "docs" / "survival.md").read_text())):
        file = ""
        for given, name in NAME.findall(cell):
            file = given or file
            yield file, name


def test_each_test_that_the_document_names_is_there():
    found = list(named())
    assert len(found) > 60
    for file, name in found:
        assert f"def {name}(" in (PLACE / file).read_text(), (file, name)
