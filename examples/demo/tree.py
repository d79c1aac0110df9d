"""A trace as a tree with its waterfall, for a terminal. Pure: spans in, text out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.demo.terminal import duration, paint, shorten, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from examples.demo.jaeger import Span, Trace

GAP = "  "
KIND, DURATION = 8, 8  # columns
BAR, SHORT_BAR = 24, 10  # columns of the waterfall where there is room, and where there is little
SHORTEST = 24  # columns that a title has on the narrowest terminal
PALETTE = ("cyan", "magenta", "blue", "yellow", "green")


def render(trace: Trace, *, width: int = 120, colour: bool = False) -> str:
    """Return *trace* as lines of at most *width* columns: tree, kind, status, duration, waterfall, messages and bytes."""
    begin = min(span.start for span in trace)
    end = max(span.start + span.duration for span in trace)
    services = list(dict.fromkeys(span.service for span in trace))
    colours = {service: PALETTE[number % len(PALETTE)] for number, service in enumerate(services)}
    rows = [(prefix + _title(span), span) for prefix, span in walk(trace)]
    statuses = max(len(_status(span)) for span in trace)
    traffic = max(len(_traffic(span)) for span in trace)
    room = width - (KIND + statuses + DURATION + traffic + 5 * len(GAP))  # for title and waterfall
    label = max(SHORTEST, min(room - SHORT_BAR, max(len(text) for text, _ in rows)))
    columns = min(BAR, max(SHORT_BAR, room - label))
    lines = [f"trace {trace[0].trace_id}: {len(trace)} spans of {len(services)} services in {duration(end - begin)}"]
    for text, span in rows:
        bar = _bar(span, begin, max(end - begin, 1e-9), columns)
        lines.append(
            GAP.join(
                (
                    paint(shorten(text, label).ljust(label), colours[span.service], colour=colour),
                    paint(span.kind.ljust(KIND), "dim", colour=colour),
                    paint(_status(span).ljust(statuses), "red bold" if span.failed else "green", colour=colour),
                    duration(span.duration).rjust(DURATION),
                    paint(bar, "red" if span.failed else colours[span.service], colour=colour),
                    paint(_traffic(span), "dim", colour=colour),
                )
            ).rstrip()
        )
    return "\n".join(lines)


def walk(trace: Trace) -> Iterator[tuple[str, Span]]:
    """Yield (branch, span) from the roots down; a span whose parent is not here counts as a root. Siblings in order of start."""
    known = {span.span_id for span in trace}
    children: dict[str, list[Span]] = {}
    for span in sorted(trace, key=lambda each: each.start):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)

    def descend(span: Span, branch: str, below: str) -> Iterator[tuple[str, Span]]:
        yield branch, span
        mine = children.get(span.span_id, [])
        for number, child in enumerate(mine, start=1):
            last = number == len(mine)
            yield from descend(child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))

    for root in children.get("", []):
        yield from descend(root, "", "")


def _title(span: Span) -> str:
    return f"{span.service} {span.name.rpartition('.')[2]}"


def _status(span: Span) -> str:
    return span.status or ("ERROR" if span.failed else "")


def _traffic(span: Span) -> str:
    """`→ 1 msg 24 B  ← 1 msg 90 B`, sent and received; empty where the span does not tell."""
    parts = []
    for arrow, way in (("→", "sent"), ("←", "received")):
        messages, amount = span.tags.get(f"grpctracing.messages.{way}"), span.tags.get(f"grpctracing.bytes.{way}")
        if messages is not None:
            parts.append(f"{arrow} {messages} msg {size(int(amount or 0))}")
    return GAP.join(parts)


def _bar(span: Span, begin: float, whole: float, columns: int) -> str:
    first = min(int((span.start - begin) / whole * columns), columns - 1)
    length = min(max(1, round(span.duration / whole * columns)), columns - first)
    return "·" * first + "█" * length + "·" * (columns - first - length)
