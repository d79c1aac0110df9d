"""Processes that outlive us: started in a session of their own, recorded, and stopped without ever hitting a stranger.

A process id alone is not an identity, since the kernel reuses it; id and start time together are.
"""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Process:
    """A process of ours; *started* is its start time in clock ticks since boot."""

    name: str
    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        _reap(self.pid)
        return start_time(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send *number*, unless the process is gone."""
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return  # it ended in between, which is what a signal is for


def start_time(pid: int) -> int:
    """Return the start time of *pid* in clock ticks since boot; -1 when there is no such process or it is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    fields = text.rpartition(")")[2].split()  # the name, in brackets, may hold spaces and brackets
    return -1 if fields[0] in "ZX" else int(fields[19])


def spawn(name: str, command: Sequence[str | Path], log: Path) -> Process:
    """Start *command* in its own session, with stdout and stderr appended to *log*, and without the user's HTTP proxies."""
    words = [str(word) for word in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.posix_spawn(
        words[0],
        words,
        {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Process(name, pid, start_time(pid))


def stop(processes: Iterable[Process], grace: float = 10) -> None:
    """End *processes*: SIGTERM to all, SIGKILL to those that remain after *grace* seconds."""
    remaining = [process for process in processes if process.alive]
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        for process in remaining:
            process.signal(number)
        deadline = time.monotonic() + patience
        while remaining and time.monotonic() < deadline:
            time.sleep(0.02)
            remaining = [process for process in remaining if process.alive]
    if remaining:
        raise ClusterError(f"would not end: {', '.join(f'{process.name} ({process.pid})' for process in remaining)}")


def save(processes: Iterable[Process], path: Path) -> None:
    """Record *processes* in *path*, at once or not at all."""
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps([asdict(process) for process in processes], indent=1))
    scratch.replace(path)


def load(path: Path) -> list[Process]:
    """Return the processes recorded in *path*; none when there is no such file."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    return [Process(**entry) for entry in json.loads(text)]


def wait_until(
    what: str, ready: Callable[[], bool], processes: Iterable[Process], log: Path, within: float = 60
) -> None:
    """Wait until *ready*; a death among *processes* or *within* seconds gone by raises with the end of *log*."""
    watched = list(processes)
    deadline = time.monotonic() + within
    while not ready():
        dead = [process.name for process in watched if not process.alive]
        if dead or time.monotonic() > deadline:
            reason = f"{', '.join(dead)} ended" if dead else f"not within {within:.0f} s"
            raise ClusterError(f"{what}: {reason}. The end of {log}:\n{tail(log)}")
        time.sleep(0.05)


def tail(log: Path, lines: int = 15) -> str:
    """Return the last *lines* of *log*."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # started by another run of the harness: its own parent reaps it
