"""Calls under load: a client and a server process per variant, all alive, each round visits each of them. Gives raw figures, one cell per round and variant."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .processes import CLIENT, SERVER, Measured, Sink, busy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .environments import Stage

UNARY = ("unary c=1", "unary c=8")
STREAM = ("stream c=1",)
SAMPLED = ("plain", "A/A", "contrib on", "ours on")
_LIFE = 3
"""Rounds until all processes are started anew: two runs of the same program differ by some µs per call for as long as they live."""
_WARM_UP = 0.1


class Pair:
    """Client and server of one variant."""

    def __init__(self, stack: ExitStack, stage: Stage, variant: str, style: str, endpoint: str) -> None:
        """Start the server; `connect` starts the client, `ready` waits for it, so that all variants start at once."""
        self.variant = stage.variants[variant]
        self._begun = (stack, stage.python, style, stage.environ(variant, endpoint))
        self._server = stack.enter_context(self._start("server.py", SERVER))

    def _start(self, script: str, cpu: int | None, *arguments: str) -> Measured:
        _, python, style, environ = self._begun
        return Measured(python, script, style, *arguments, environ=environ, cpu=cpu)

    def connect(self) -> None:
        """Start the client."""
        port = str(self._server.answer()["port"])
        self._client = self._begun[0].enter_context(self._start("client.py", CLIENT, port))

    def ready(self) -> None:
        """Wait for the client's first call."""
        self._client.answer()

    def cell(self, what: str, seconds: float, sink: Sink) -> dict[str, Any]:
        """Return the figures of one load: rates, latencies in µs, CPU µs per call and side (the export of its spans included), spans per call, lost spans."""
        kind, concurrency = what.split(" c=")
        order = {"do": "load", "kind": kind, "concurrency": int(concurrency)}
        self._client.ask(**order, seconds=_WARM_UP)
        before = [side.ask(do="flush")["cpu"] for side in (self._client, self._server)]
        sink.ask()
        machine = busy()
        load = self._client.ask(**order, seconds=seconds)
        machine = busy() - machine
        after = [side.ask(do="flush")["cpu"] for side in (self._client, self._server)]
        got = sink.ask()
        calls = load["calls"]
        used = [end - start for start, end in zip(before, after, strict=True)]
        expected = None if self.variant.spans is None else calls * 2 * self.variant.spans // 10
        return {
            "rate": round(calls / load["seconds"], 1),
            "p50": round(load["p50"], 1),
            "p99": round(load["p99"], 1),
            "client": round(used[0] / calls * 1e6, 2),
            "server": round(used[1] / calls * 1e6, 2),
            "spans": got["spans"],
            "lost": 0 if expected is None else expected - got["spans"],
            "bytes": got["bytes"],
            # flushes are in `used` and not in `machine`, so this is a little low
            "others": round(max(0.0, (machine - sum(used)) / (load["seconds"] * 2)), 3),
        }

    def resident(self) -> dict[str, int]:
        """Return the resident KiB of both sides."""
        return {"client": self._client.ask(do="mark")["rss"], "server": self._server.ask(do="mark")["rss"]}


def turns(names: Sequence[str], round_: int) -> Iterator[str]:
    """Yield *names* in the order of this round: begun elsewhere each time, and every other round backwards."""
    at = round_ % len(names)
    rotated = [*names[at:], *names[:at]]
    return reversed(rotated) if round_ % 2 else iter(rotated)


def measure(
    stage: Stage, style: str, what: Sequence[str], names: Sequence[str], rounds: int, seconds: float, sink: Sink
) -> dict[str, Any]:
    """Return {"cells": {what: {variant: [cell per round]}}, "resident": {when: {variant: [KiB of both sides]}}}."""
    cells: dict[str, dict[str, list[Any]]] = {load: {name: [] for name in names} for load in what}
    resident: dict[str, dict[str, list[Any]]] = {when: {name: [] for name in names} for when in ("idle", "loaded")}
    for first in range(0, rounds, _LIFE):
        with ExitStack() as stack:
            pairs = {name: Pair(stack, stage, name, style, sink.endpoint) for name in names}
            for pair in pairs.values():
                pair.connect()
            for pair in pairs.values():
                pair.ready()
            for name, pair in pairs.items():
                resident["idle"][name].append(pair.resident())
            for round_ in range(first, min(first + _LIFE, rounds)):
                print(f"{style} {what[0].split()[0]}: round {round_ + 1} of {rounds}", file=sys.stderr)
                for load in what:
                    for name in turns(names, round_):
                        cells[load][name].append(pairs[name].cell(load, seconds, sink))
            for name, pair in pairs.items():
                resident["loaded"][name].append(pair.resident())
    return {"cells": cells, "resident": resident}
