"""What `make test` runs: every stage in order, one summary at the end.

A stage that fails does not stop the others, so one run tells all there is to tell. The last line has the form
`N passed, N failed, N skipped`, which CI systems read.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Stage:
    """One line of the summary; *pytest* holds the paths of a test stage, *command* anything else."""

    name: str
    command: tuple[str, ...] = ()
    pytest: tuple[str, ...] = ()
    together: int = 1  # test files that run at the same time


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a stage ended: seconds, and numbers of tests (a command counts as one)."""

    stage: Stage
    seconds: float
    passed: int
    failed: int
    skipped: int


STAGES = (
    Stage("lint", command=("make", "lint")),
    Stage("unit", pytest=("tests/unit", "tests/cluster"), together=2),
    Stage("bootstrap", pytest=("tests/bootstrap",), together=2),
    Stage("tools", command=(str(BIN / "python"), "-m", "tests.cluster", "tools")),
    Stage("API server", pytest=("tests/api",), together=2),
    Stage("images", command=(str(BIN / "python"), "-m", "tests.cluster", "images")),
    Stage("end to end", pytest=("tests/e2e",)),
)


def run(stage: Stage, scratch: Path) -> Outcome:
    """Run *stage* with its output on the terminal."""
    print(f"\n=== {stage.name}", flush=True)
    started = time.monotonic()
    if stage.command:
        code = subprocess.run(stage.command, check=False).returncode
        return Outcome(stage, time.monotonic() - started, int(code == 0), int(code != 0), 0)
    report = scratch / f"{stage.name}.xml"
    paths = [path for path in stage.pytest if Path(path).exists()]
    options = ["-n", str(stage.together), "--dist", "loadfile"] if stage.together > 1 else []
    code = subprocess.run([BIN / "pytest", "-q", f"--junitxml={report}", *options, *paths], check=False).returncode
    passed, failed, skipped = counts(report)
    if code != 0 and failed == 0:  # died before it could report, or collected nothing
        failed = 1
    return Outcome(stage, time.monotonic() - started, passed, failed, skipped)


def counts(report: Path) -> tuple[int, int, int]:
    """Return passed, failed and skipped of a JUnit file; zeros when there is none."""
    if not report.exists():
        return 0, 0, 0
    suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314 - written by the line above
    total, failures, errors, skipped = (
        sum(int(suite.get(key, "0")) for suite in suites) for key in ("tests", "failures", "errors", "skipped")
    )
    return total - failures - errors - skipped, failures + errors, skipped


def main() -> int:
    """Run the stages (all, or those named on the command line) and print the summary."""
    wanted = sys.argv[1:]
    stages = [stage for stage in STAGES if not wanted or stage.name in wanted]
    with tempfile.TemporaryDirectory() as scratch:
        outcomes = [run(stage, Path(scratch)) for stage in stages]
    print(f"\n{'stage':<12} {'passed':>7} {'failed':>7} {'skipped':>8} {'seconds':>8}")
    for outcome in outcomes:
        print(
            f"{outcome.stage.name:<12} {outcome.passed:>7} {outcome.failed:>7} {outcome.skipped:>8} {outcome.seconds:>8.0f}"
        )
    passed, failed, skipped = (
        sum(getattr(outcome, key) for outcome in outcomes) for key in ("passed", "failed", "skipped")
    )
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
