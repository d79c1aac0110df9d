"""`make bench`: what the bootstrap costs, beside the same processes without it and with OpenTelemetry's own gRPC instrumentation.

Builds all that it needs, measures for about a quarter of an hour, prints the table, and writes table, plot and raw figures to benchmarks/results.
`--quick` takes two minutes, shows whether all of it works, and writes nothing that is kept in git.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bootstrap.interpreters import environment

from . import endings, load, panels, report, startup
from .environments import DRAWING, build
from .processes import Sink

if TYPE_CHECKING:
    from collections.abc import Callable

    from .environments import Stage

RESULTS = Path(__file__).parents[1] / "results"
README = RESULTS.parent / "README.md"
SHOWN = """![added CPU, throughput and start-up](results/bootstrap.png)

{table}

Raw figures, each round of each variant: [results/bootstrap.json](results/bootstrap.json)."""
SHORT = 6
"""Rounds below which start-up and streams are not measured more often than the rest."""


def parts(stage: Stage, sink: Sink, rounds: int, seconds: float) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what can be measured, by the names that --only takes."""
    everyone = tuple(stage.variants)

    def under_load(style: str, what: tuple[str, ...], names: tuple[str, ...]) -> Callable[[], dict[str, Any]]:
        # the bar for a message is far below the noise of one round, and a cell holds few streams
        times = rounds * 2 if what is load.STREAM and rounds >= SHORT else rounds
        return lambda: load.measure(stage, style, what, names, times, seconds, sink)

    return {
        "startup": lambda: startup.measure(stage, rounds * (1 if rounds < SHORT else 2), sink.endpoint),
        "unary-sync": under_load("sync", load.UNARY, everyone),
        "unary-aio": under_load("aio", load.UNARY, everyone),
        "stream-sync": under_load("sync", load.STREAM, load.SAMPLED),
        "stream-aio": under_load("aio", load.STREAM, load.SAMPLED),
        "endings": lambda: endings.measure(stage, max(1, rounds // 4), sink),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the raw figures of one run."""
    with tempfile.TemporaryDirectory() as folder:
        stage = build(Path(folder))
        with Sink(stage.python, stage.environ("plain", "")) as sink:
            chosen = parts(stage, sink, arguments.rounds, arguments.seconds)
            found = {
                name: step() for name, step in chosen.items() if any(name.startswith(only) for only in arguments.only)
            }
    others = [cell["others"] for part in found.values() for cell in _cells(part)]
    return {
        "versions": stage.versions,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        "date": time.strftime("%Y-%m-%d"),
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "others": statistics.median(others) if others else None,
        **found,
    }


def _cells(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for by_name in part.get("cells", {}).values() for cells in by_name.values() for cell in cells]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bootstrap", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each load")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ROWS",
        default=[""],
        help="startup, unary-sync, unary-aio, stream-sync, stream-aio, endings; or how such names begin",
    )
    parser.add_argument("--quick", action="store_true", help="2 rounds of 0.3 s")
    parser.add_argument("--show", action="store_true", help="measure nothing, show the last run again")
    found = parser.parse_args()
    if found.quick:
        found.rounds, found.seconds = 2, 0.3
    return found


def main() -> None:
    """Measure, print, write."""
    chosen = arguments()
    whole = not chosen.quick and chosen.only == [""]
    place = RESULTS / ("bootstrap" if whole else "part")
    raw = place.with_suffix(".json")
    if chosen.show:
        figures = json.loads(raw.read_text())
    else:
        figures = measure(chosen)
        raw.parent.mkdir(exist_ok=True)
        raw.write_text(json.dumps(figures, separators=(",", ":")) + "\n")
    rows = report.rows(figures)
    text = report.markdown(figures, rows)
    print(text)
    drawing = panels.bars(figures)
    if drawing:
        draw(place.with_suffix(".png"), {"bars": drawing, "title": figures["versions"]})
    if whole:
        report.put_into(README, SHOWN.format(table=text))
    print(f"\nwritten: {place}.json{', .png' if drawing else ''}{', ' + str(README) if whole else ''}")


def draw(file: Path, drawing: dict[str, Any]) -> None:
    """Draw the plot in an environment of its own: nothing else needs matplotlib."""
    script = Path(__file__).with_name("plot.py")
    drawer = environment(sys.executable, *DRAWING)
    subprocess.run([drawer, script, file], check=True, input=json.dumps(drawing), text=True, env=_bare())


def _bare() -> dict[str, str]:
    return {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}


if __name__ == "__main__":
    main()
