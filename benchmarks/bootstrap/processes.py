"""Measured processes: started on a CPU of their own, told what to do by lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

MEASURED = Path(__file__).parent / "measured"
_ALL = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
CLIENT, SERVER = (_ALL[0], _ALL[-1]) if len(_ALL) > 1 else (None, None)
SINK = _ALL[1] if len(_ALL) > 2 else CLIENT  # noqa: PLR2004 - with two, the sink shares the client's


@contextmanager
def on(cpu: int | None) -> Iterator[None]:
    """Have what is started meanwhile run on *cpu*: inherited, so threads that start before the program's first line are on it, too."""
    if cpu is None:
        yield
        return
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, _ALL)


class Measured:
    """One process of `measured/`, as a context manager. `ask` sends a command and returns the answer."""

    def __init__(self, python: str, script: str, *arguments: str, environ: dict[str, str], cpu: int | None) -> None:
        self._name = f"{script} {' '.join(arguments)} {environ.get('PYTHONPATH', 'plain')}"
        with on(cpu):
            self.process = subprocess.Popen(
                [python, MEASURED / script, *arguments],
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def let_go(self) -> None:
        """End its input: it will leave by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send *command*, return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended with {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


class Sink(Measured):
    """The Collector's stand-in. `ask` with no command gives the spans since the last time."""

    def __init__(self, python: str, environ: dict[str, str]) -> None:
        super().__init__(python, "sink.py", environ=environ, cpu=SINK)
        self.endpoint = f"http://127.0.0.1:{self.answer()['port']}"


def busy() -> float:
    """Return the CPU seconds that the machine has spent on CLIENT and SERVER so far, 0 where that is not known."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return 0.0
    ticks = 0
    for line in lines:
        name, *fields = line.split()
        if name in {f"cpu{CLIENT}", f"cpu{SERVER}"}:
            user, nice, system, _idle, _iowait, irq, soft = map(int, fields[:7])
            ticks += user + nice + system + irq + soft
    return ticks / os.sysconf("SC_CLK_TCK")
