from pathlib import Path

from grpctracing.injection import Reason, State

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "verdicts.md"


def test_each_state_and_reason_has_its_line():
    lines = {line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")}
    assert lines == {item.value for item in (*State, *Reason)}
