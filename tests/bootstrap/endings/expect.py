"""Spans, held against rows of the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.bootstrap.endings.table import Row
    from tests.bootstrap.receiver import Span


def spans_of(spans: Iterable[Span], side: str, case: str) -> list[Span]:
    """Return the spans of *side* of the method that is named as the *case*."""
    name = f"test.Endings/{case}"
    return [
        span for span in spans if span.kind == side and name in {span.name, span.attributes.get("rpc.method_original")}
    ]


def span_of(spans: Iterable[Span], side: str, case: str) -> Span:
    """Return the only one of those."""
    found = spans_of(spans, side, case)
    assert len(found) == 1, found
    return found[0]


def right(spans: Iterable[Span], side: str, case: str, row: Row) -> Span | None:
    """Assert that *side* tells *case* as *row* says; return its span, None where there has to be none."""
    if not row.codes(side):
        assert spans_of(spans, side, case) == []
        return None
    span = span_of(spans, side, case)
    assert span.code in row.codes(side), span
    assert span.status == row.status(side, span.code), span
    wanted = (row.error_type if side == "CLIENT" else "") or span.code
    assert span.attributes.get("error.type") == (wanted if span.status == "ERROR" else None), span
    assert re.fullmatch(row.description(side, span.code), span.message), span
    assert span.start <= span.end
    return span
