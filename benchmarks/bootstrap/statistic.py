"""Figures of rounds as one figure: all comparisons are within a round, and what is told is the median over the rounds."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOTCH = 1.57
"""McGill, Tukey, Larsen 1978: the median lies within this many interquartile ranges by the square root of n, at 95 %."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A median, and how far it may be off."""

    value: float
    spread: float

    def text(self, unit: str, digits: int = 0) -> str:
        """Return it as a difference, with its sign."""
        return f"{self.value:+.{digits}f} ± {self.spread:.{digits}f} {unit}"


def figure(found: Sequence[float]) -> Figure:
    """Return the median of *found*."""
    if len(found) < 2:  # noqa: PLR2004 - quartiles need two
        return Figure(found[0], 0.0)
    low, middle, high = statistics.quantiles(found, n=4, method="inclusive")
    return Figure(middle, _NOTCH * (high - low) / len(found) ** 0.5)


def added(by_variant: dict[str, Any], name: str, key: str) -> Figure:
    """Return how much *key* of variant *name* is above plain's in the same round."""
    return figure([mine[key] - plain[key] for plain, mine in zip(by_variant["plain"], by_variant[name], strict=True)])


def ratio(by_variant: dict[str, Any], name: str, key: str) -> Figure:
    """Return *key* of variant *name* as a part of plain's in the same round."""
    return figure([mine[key] / plain[key] for plain, mine in zip(by_variant["plain"], by_variant[name], strict=True)])


def plainly(by_variant: dict[str, Any], key: str) -> float:
    """Return the median of *key* without any instrumentation."""
    return statistics.median(cell[key] for cell in by_variant["plain"])


def by_round(columns: dict[str, Sequence[float]]) -> list[dict[str, float]]:
    """Return {key: [figure per round]} as one dict per round."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
