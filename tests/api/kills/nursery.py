"""Operators that begin in milliseconds: one process has imported everything, and each operator is a fork of it.

What runs in the fork is `grpctracing.cli.main`, as in the container; saved is the second that Python's imports take.
Spoken to in lines of JSON: an order comes in, `{"began": pid}` and later `{"ended": pid, "code": …}` go out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[3]
GLANCE = 0.02


@dataclass(eq=False)
class Child:
    """One operator; *code* is the exit code, negative for a signal."""

    pid: int
    log: Path
    code: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _handle: int = -1

    def __post_init__(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # ended already
            self._handle = os.pidfd_open(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process and to no other that may have got its number."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def over(self, code: int) -> None:
        self.code = code
        with contextlib.suppress(OSError):
            os.close(self._handle)
        self._handle = -1
        self.ended.set()


class Nursery:
    """A context manager that starts operators; what still runs at its end is killed."""

    def __init__(self, directory: Path, root: Path = ROOT) -> None:
        self.directory = directory
        self.root = root  # the checkout whose operator runs
        self._began: asyncio.Queue[int] = asyncio.Queue()
        self._living: dict[int, Child] = {}
        self._early: dict[int, int] = {}
        self._number = 0
        self._one = asyncio.Lock()

    async def __aenter__(self) -> Self:
        environment = os.environ | {"PYTHONPATH": f"{self.root / 'operator'}:{ROOT}"}
        words = (sys.executable, "-m", "tests.api.kills.nursery")
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, env=environment, cwd=ROOT)
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.stdin.close()
        await self._hearing
        await self._process.wait()

    async def start(self, *words: str, **environment: str) -> Child:
        """Run `python -m grpctracing.cli WORDS` with *environment* and nothing else."""
        async with self._one:
            self._number += 1
            log = self.directory / f"{self._number}.log"
            order = {"words": words, "environment": environment, "log": str(log)}
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            await self._process.stdin.drain()
            child = Child(await self._began.get(), log)
        if child.pid in self._early:
            child.over(self._early.pop(child.pid))
        else:
            self._living[child.pid] = child
        return child

    async def _hear(self) -> None:
        async for line in self._process.stdout:
            told = json.loads(line)
            if "began" in told:
                self._began.put_nowait(told["began"])
            elif child := self._living.pop(told["ended"], None):
                child.over(told["code"])
            else:
                self._early[told["ended"]] = told["code"]


def tell(**what: Any) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def bear(order: dict[str, Any]) -> int:
    """Fork; return the pid in the parent, never in the child."""
    if pid := os.fork():
        return pid
    code = 70
    try:
        log = os.open(order["log"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.clear()
        os.environ.update(order["environment"])
        from grpctracing.cli import main as operator

        code = operator(order["words"])
    except BaseException:  # noqa: BLE001 - the frames above are the parent's
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    import grpctracing.cli.run
    import grpctracing.cli.uninstall  # noqa: F401 - both imported before anybody waits

    living: set[int] = set()
    rest = b""
    while True:
        if select.select([0], [], [], GLANCE if living else None)[0]:
            heard = os.read(0, 1 << 20)
            if not heard:
                break
            *lines, rest = (rest + heard).split(b"\n")
            for line in lines:
                living.add(pid := bear(json.loads(line)))
                tell(began=pid)
        while living and (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            living.discard(ended[0])
            tell(ended=ended[0], code=os.waitstatus_to_exitcode(ended[1]))
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
