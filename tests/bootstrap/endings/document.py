"""docs/endings.md, written from the table."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bootstrap.endings.table import ALL, BOTH, CALLS, LIVES, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).resolve().parents[3] / "docs" / "endings.md"
_KINDS = {"uu": "unary", "us": "server stream", "su": "client stream", "ss": "both stream"}
_HEAD = """\
# How calls end, and how that is told

Written by `python -m tests.bootstrap.endings` from the table that the tests use (`tests/bootstrap/endings/table.py`): each line is tested for
each kind of call it names, sync and asyncio. Every call has one span on each side, which ends once. Its description is the status
message, as the client is told it, and nothing else: no metadata, no message, no traceback. Where the handler raises, grpc makes the text of the exception
that message.

A client's span has status `ERROR` for every code but OK, a server's where the code says that it is the server's fault, as the semantic
conventions define. `error.type` is there exactly then, and is the code. "A or B": grpc itself does one or the other by chance.

- **sync** is `grpc`, with `__call__`, `with_call`, `future` and streams with and without a thread of grpc's; **asyncio** is `grpc.aio`, with coroutines,
  asynchronous generators, `context.write` and plain functions as handlers.
- A call that is refused because a request is too long is answered by grpc's core: the server's Python code sees a call that is cancelled, and so does its span.
- Where a server ends a call while an asyncio client still writes, grpc.aio tells the application INTERNAL or the server's status by chance. The span says the
  server's status.
- All of it is tested with hooks in grpc's internals and by grpc's public interface alone, see [compatibility](compatibility.md#on-the-public-path).
- A process that is killed tells nothing of the calls that were going on. One that ends, or dies of SIGTERM without a handler of its own, does. A server whose
  main thread ends waits for its handlers, as Python does for the threads of an executor.
"""


def text() -> str:
    """Return the whole document."""
    lines = [_HEAD]
    for title, rows in (("Calls", CALLS), ("Processes", LIVES)):
        lines += [
            f"## {title}\n",
            "| the call or what happens to it | kinds | | client | server |",
            "|---|---|---|---|---|",
            *_lines(rows),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _lines(rows: tuple[Row, ...]) -> Iterator[str]:
    """Rows that say the same of different kinds or stacks are one line."""

    def said(row: Row) -> tuple[str, ...]:
        return row.what, _side(row, "CLIENT"), _side(row, "SERVER")

    for (what, client, server), group in groupby(rows, said):
        alike = list(group)
        kinds = [kind for kind in ALL if any(kind in row.kinds for row in alike)]
        stacks = [stack for stack in BOTH if any(stack in row.stacks for row in alike)]
        named = "all" if len(kinds) == len(ALL) else ", ".join(map(_KINDS.__getitem__, kinds))
        where = "both" if len(stacks) == len(BOTH) else {"sync": "sync", "aio": "asyncio"}[stacks[0]]
        yield f"| {what} | {named} | {where} | {client} | {server} |"


def _side(row: Row, side: str) -> str:
    codes = sorted(row.codes(side), key=getattr(row, side.lower()).index)
    told = [f"{code}, `{row.status(side, code)}`" for code in codes]
    if side == "CLIENT" and row.error_type:
        told = [f"{words}, `error.type` {row.error_type}" for words in told]
    return " or ".join(told) or "no span"
