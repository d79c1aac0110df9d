"""What both measured processes do besides grpc: answer one JSON object per line, read their own clock of CPU time, and flush whoever instruments them."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

METHOD = "/bench.Echo/Call"
STREAM = "/bench.Echo/Stream"
MESSAGES = 1000
REQUEST = b"x" * 200
_FLUSH_SECONDS = 10


def say(**answer: Any) -> None:
    """Write one answer."""
    print(json.dumps(answer), flush=True)


def commands() -> Iterator[dict[str, Any]]:
    """Yield the commands that come on stdin, until it ends."""
    for line in iter(sys.stdin.readline, ""):
        yield json.loads(line)


async def commands_one_by_one(do: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """Await *do* with each command: as `commands`, beside a running loop."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await do(json.loads(line))


def common(command: dict[str, Any]) -> bool:
    """Carry out *command* if it is one that both sides know; return whether it was."""
    if command["do"] == "mark":
        say(cpu=time.process_time(), rss=_resident())
    elif command["do"] == "flush":
        flush()
        say(cpu=time.process_time())
    else:
        return False
    return True


def _resident() -> int:
    """Return this process's resident memory in KiB, 0 where /proc is not there."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def flush() -> None:
    """Have all finished spans sent now, so that their CPU time belongs to the load that made them."""
    time.sleep(0.05)  # the status of the last call reaches the client before the server's thread is done with it
    if "opentelemetry.sdk.trace" in sys.modules:
        from opentelemetry import trace

        trace.get_tracer_provider().force_flush(_FLUSH_SECONDS * 1000)
    if "_grpctracing.pipeline" in sys.modules:
        kind = sys.modules["_grpctracing.pipeline"].Pipeline
        for pipeline in _found or [found for found in gc.get_objects() if type(found) is kind]:
            _found[:] = [pipeline]  # looked for once: there is no public name for it
            pipeline.flush(_FLUSH_SECONDS)


_found: list[Any] = []
