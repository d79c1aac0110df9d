"""`plot.py FILE.png`: draw the panels that come as JSON on stdin. Runs in an environment of its own, the only one with matplotlib."""

from __future__ import annotations

import json
import sys

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

COLORS = {"ours": "#4c72b0", "kopf's handlers": "#c44e52"}


def main() -> None:
    """Draw each panel: growth with the number of Deployments."""
    panels = json.load(sys.stdin)
    figure, grid = plt.subplots(1, len(panels), figsize=(4.3 * len(panels), 3.6), squeeze=False)
    for axes, panel in zip(grid[0], panels, strict=True):
        for who, points in panel["series"].items():
            if not points:
                continue
            sizes, values = zip(*points, strict=True)
            axes.plot(sizes, values, marker="o", color=COLORS[who], label=who)
        if panel["bar"] is not None:
            axes.axhline(panel["bar"], color="gray", linewidth=0.8, linestyle="--", label="bar")
        axes.set_title(panel["title"], fontsize=10)
        axes.set_xlabel("Deployments")
        axes.set_ylabel(panel["unit"])
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    handles = {
        label: handle for axes in grid[0] for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=3, fontsize=9, frameon=False)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(sys.argv[1], dpi=90)


if __name__ == "__main__":
    main()
