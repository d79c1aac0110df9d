"""`python -m benchmarks.bootstrap.pieces [--rounds N]`: what each piece of the bootstrap adds to a real call. Each variant has one piece more than the one above it."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import load
from .environments import OFF, ON, TRACES_ONLY, Variant, build, lay_out
from .processes import Sink
from .statistic import added, figure, plainly

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIDES = ("server", "client")
_SILENT = {"OTEL_PROPAGATORS": "none"} | OFF | TRACES_ONLY
_KEEP_NOTHING = {"errors": False, "slowerThan": None}
_PIECES = (
    # name, settings.json, variables
    ("hooks, switched off", {"enabled": False}, ON),
    ("+ a record per call: sampler, clock, status", {"messages": "Never", "keep": _KEEP_NOTHING}, _SILENT),
    ("+ messages counted", {"keep": _KEEP_NOTHING}, _SILENT),
    ("+ keep", {}, _SILENT),
    ("+ header sent and read", {}, OFF | TRACES_ONLY),
    ("+ metrics: all of sampler off", {}, OFF),
    ("+ spans, without metrics", {}, ON | TRACES_ONLY),
    ("all of sampler on", {}, ON),
)


def variants(folder: Path) -> Iterator[Variant]:
    """Yield the variants, each with a payload and a settings.json of its own in *folder*."""
    for at, (name, settings, variables) in enumerate(_PIECES):
        place = folder / f"piece{at}"
        place.mkdir()
        path = lay_out(place)
        (place / "settings.json").write_text(json.dumps({"version": 1, **settings}))
        yield Variant(name, path, variables, None)


def table(cells: dict[str, Any], style: str, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of one Markdown table: added CPU µs per call, and what that is more than the line above."""
    for what, by_variant in cells.items():
        plain = " / ".join(f"{plainly(by_variant, side):.0f}" for side in _SIDES)
        yield f"\n{style} {what}, plain {plain} µs (server / client)\n"
        yield "| variant | server | client | p99 |\n|---|---|---|---|"
        for name in names:
            sides = [added(by_variant, name, side).text("µs") for side in _SIDES]
            late = figure([mine["p99"] - plain["p99"] for plain, mine in _rounds(by_variant, name)])
            yield f"| {name} | {sides[0]} | {sides[1]} | {late.value / 1e3:+.1f} ± {late.spread / 1e3:.1f} ms |"


def _rounds(by_variant: dict[str, Any], name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    return zip(by_variant["plain"], by_variant[name], strict=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bootstrap.pieces", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.6, help="of each load")
    parser.add_argument("--style", nargs="+", default=["sync", "aio"], help="sync, aio")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole = build(Path(folder))
        known = [whole.variants[name] for name in ("plain", "A/A", "header")]
        stage = replace(whole, variants={each.name: each for each in (*known, *variants(Path(folder)))})
        names = tuple(stage.variants)
        with Sink(stage.python, stage.environ("plain", "")) as sink:
            for style in chosen.style:
                found = load.measure(stage, style, load.UNARY, names, chosen.rounds, chosen.seconds, sink)
                print("\n".join(table(found["cells"], style, names[1:])), flush=True)


if __name__ == "__main__":
    main()
