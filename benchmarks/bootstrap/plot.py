"""`plot.py FILE.png`: draw the panels that come as JSON on stdin. Runs in an environment of its own, the only one with matplotlib."""

from __future__ import annotations

import json
import sys
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

COLORS = {"contrib": "#c44e52", "ours": "#4c72b0"}
NAMES = {"contrib": "opentelemetry-instrumentation-grpc", "ours": "GrpcTracing"}
WIDTH = 0.38


def draw(axes: Any, panel: dict[str, Any]) -> None:
    """Draw one panel: two bars per label, their figures on top."""
    for shift, (who, found) in zip((-WIDTH / 2, WIDTH / 2), panel["series"].items(), strict=True):
        where = [at + shift for at in range(len(panel["labels"]))]
        bars = axes.bar(where, found["values"], WIDTH, yerr=found["spread"], color=COLORS[who], label=NAMES[who])
        digits = "%.2f" if panel["line"] else "%.0f"
        axes.bar_label(bars, fmt=digits, fontsize=7, padding=2)
    if panel["line"] is not None:
        axes.axhline(panel["line"], color="gray", linewidth=0.8)
    axes.set_title(panel["title"], fontsize=10)
    axes.set_ylabel(panel["unit"])
    axes.set_xticks(range(len(panel["labels"])), panel["labels"], fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw all panels below one another in two columns."""
    drawing = json.load(sys.stdin)
    panels = drawing["bars"]
    rows = (len(panels) + 1) // 2
    figure, grid = plt.subplots(rows, 2, figsize=(13, 3.4 * rows), squeeze=False)
    places = [axes for line in grid for axes in line]
    for axes, panel in zip(places, panels, strict=False):
        draw(axes, panel)
    for axes in places[len(panels) :]:
        axes.axis("off")
    figure.suptitle(drawing["title"], fontsize=9)
    figure.legend(*places[0].get_legend_handles_labels(), loc="lower center", ncols=2, fontsize=9, frameon=False)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(sys.argv[1], dpi=90)


if __name__ == "__main__":
    main()
