"""The plot's panels: added CPU, throughput and start-up, contrib's beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .report import SIDES, both
from .statistic import figure, ratio

if TYPE_CHECKING:
    from .statistic import Figure


def bars(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the plot's panels: title, unit, labels, contrib's and our figures with their spread, and a line to compare with."""
    loads = [
        (f"{style} {load.removeprefix('unary ')}", by_variant)
        for style in ("sync", "aio")
        for load, by_variant in figures.get(f"unary-{style}", {"cells": {}})["cells"].items()
    ]
    panels = []
    for sampler, title in (("on", "every call sampled"), ("0.1", "ratio 0.1"), ("off", "sampler off")):
        labels = [f"{name}\n{side}" for name, _ in loads for side in SIDES]
        series = {
            who: [both(by_variant, f"{who} {sampler}")[at] for _, by_variant in loads for at in (0, 1)]
            for who in ("contrib", "ours")
        }
        panels.append(_panel(f"CPU added per unary call, {title}", "µs", labels, series))
    for sampler, title in (("on", "every call sampled"), ("0.1", "ratio 0.1")):
        series = {
            who: [ratio(by_variant, f"{who} {sampler}", "rate") for _, by_variant in loads]
            for who in ("contrib", "ours")
        }
        panels.append(_panel(f"throughput against plain, {title}", "of 1", [name for name, _ in loads], series, 1.0))
    by_code = figures.get("startup", {})
    walls = {
        who: [
            figure(
                [mine - plain for plain, mine in zip(found["plain"]["wall"], found[f"{who} on"]["wall"], strict=True)]
            )
            for found in by_code.values()
        ]
        for who in ("contrib", "ours")
    }
    panels.append(_panel("start-up added", "ms", list(by_code), walls))
    return [panel for panel in panels if panel["labels"]]


def _panel(
    title: str, unit: str, labels: list[str], series: dict[str, list[Figure]], line: float | None = None
) -> dict[str, Any]:
    told = {
        who: {"values": [f.value for f in found], "spread": [f.spread for f in found]} for who, found in series.items()
    }
    return {"title": title, "unit": unit, "labels": labels, "series": told, "line": line}
