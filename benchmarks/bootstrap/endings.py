"""The end of a process: how long it takes with the Collector away, and what SIGTERM loses."""

from __future__ import annotations

import signal
import socket
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .load import SAMPLED, turns
from .processes import CLIENT, SERVER, Measured, Sink

if TYPE_CHECKING:
    from .environments import Stage

CALLS = 40
_SETTLED = 0.2
"""Seconds until the server's thread is done with the last call that the client saw answered."""


def _exit(stage: Stage, variant: str, endpoint: str) -> float:
    """Return the seconds that a client of *variant* takes to leave after CALLS calls."""
    with ExitStack() as stack:
        server = stack.enter_context(
            Measured(stage.python, "server.py", "sync", environ=stage.environ("plain", ""), cpu=SERVER)
        )
        port = str(server.answer()["port"])
        environ = stage.environ(variant, endpoint)
        client = stack.enter_context(Measured(stage.python, "client.py", "sync", port, environ=environ, cpu=CLIENT))
        client.answer()
        client.ask(do="calls", count=CALLS)
        begin = time.perf_counter()
        client.let_go()
        client.process.wait(60)
        return time.perf_counter() - begin


def _terminated(stage: Stage, variant: str, sink: Sink) -> tuple[int, int]:
    """Return (spans that arrived, exit status) of a server of *variant* that gets SIGTERM after CALLS calls."""
    plain = stage.environ("plain", "")
    sink.ask()
    with ExitStack() as stack:
        environ = stage.environ(variant, sink.endpoint)
        server = stack.enter_context(Measured(stage.python, "server.py", "sync", environ=environ, cpu=SERVER))
        port = str(server.answer()["port"])
        client = stack.enter_context(Measured(stage.python, "client.py", "sync", port, environ=plain, cpu=CLIENT))
        client.answer()
        client.ask(do="calls", count=CALLS - 1)  # it made one when it started
        time.sleep(_SETTLED)
        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(60)
    return sink.ask()["spans"], status


def measure(stage: Stage, rounds: int, sink: Sink) -> dict[str, Any]:
    """Return {"refused" / "silent": {variant: [seconds]}, "sigterm": {variant: [(spans, status)]}}."""
    found: dict[str, Any] = {what: {name: [] for name in SAMPLED} for what in ("refused", "silent", "sigterm")}
    with socket.socket() as refusing, socket.socket() as silent:
        refusing.bind(("127.0.0.1", 0))  # nobody listens
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # connects, and never says a word
        away = {"refused": refusing, "silent": silent}
        for round_ in range(rounds):
            print(f"endings: round {round_ + 1} of {rounds}", file=sys.stderr)
            for name in turns(SAMPLED, round_):
                for what, where in away.items():
                    seconds = _exit(stage, name, f"http://127.0.0.1:{where.getsockname()[1]}")
                    found[what][name].append(round(seconds, 3))
                found["sigterm"][name].append(_terminated(stage, name, sink))
    return found
