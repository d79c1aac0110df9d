"""Tables for a terminal. Pure: rows in, text out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from examples.demo.terminal import duration, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from examples.demo.jaeger import Span

Rows = list[tuple[str, ...]]


def render(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> str:
    """Return a table whose lines end at *width* columns."""
    whole = [tuple(header), *(tuple(row) for row in rows)]
    columns = [max(len(row[column]) for row in whole) for column in range(len(header))]
    lines = ["   ".join(cell.ljust(size) for cell, size in zip(row, columns, strict=True)).rstrip() for row in whole]
    return "\n".join(shorten(line, width) for line in lines)


def spans(found: Sequence[Span]) -> tuple[tuple[str, ...], Rows]:
    """Return header and rows of a list of calls."""
    header = ("STARTED", "SERVICE", "METHOD", "STATUS", "DURATION", "SAMPLED", "TRACE")
    rows: Rows = [
        (
            datetime.fromtimestamp(span.start).astimezone().strftime("%H:%M:%S"),
            span.service,
            span.name,
            span.status,
            duration(span.duration),
            f"kept: {span.tags['grpctracing.keep']}" if "grpctracing.keep" in span.tags else "by the ratio",
            span.trace_id,
        )
        for span in found
    ]
    return header, rows
