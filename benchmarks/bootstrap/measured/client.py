"""The measured client: `client.py sync|aio PORT` makes the load that it is told to, until stdin ends."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from control import METHOD, REQUEST, STREAM, commands, commands_one_by_one, common, say

if TYPE_CHECKING:
    from collections.abc import Callable


def told(begin: int, latencies: list[list[int]]) -> None:
    """Report a load that began at *begin*; *latencies* in ns, of each call, by caller."""
    seconds = (time.perf_counter_ns() - begin) / 1e9
    ordered = sorted(chain.from_iterable(latencies))
    half, most = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    say(calls=len(ordered), seconds=seconds, p50=half / 1e3, p99=most / 1e3)


def by_hand(unary: Callable[..., Any]) -> Callable[..., Any]:
    """Return *unary*; where BENCH_TRACEPARENT is set, sending with each call what every tracer has to send: a header that no other call has."""
    if not os.environ.get("BENCH_TRACEPARENT"):
        return unary
    ids = random.Random(1)

    def call(request: bytes) -> Any:
        return unary(
            request, metadata=(("traceparent", f"00-{ids.getrandbits(128):032x}-{ids.getrandbits(64):016x}-00"),)
        )

    return call


class Threads:
    """Makes calls from threads over one channel."""

    def __init__(self, port: str) -> None:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.unary = by_hand(channel.unary_unary(METHOD))
        self._stream = channel.unary_stream(STREAM)

    def stream(self, request: bytes) -> None:
        """Read one stream to its end."""
        for _ in self._stream(request):
            pass

    def load(self, kind: str, concurrency: int, seconds: float) -> None:
        """Make calls from *concurrency* threads for *seconds*."""
        call = getattr(self, kind)
        begin = time.perf_counter_ns()
        end = begin + int(seconds * 1e9)

        def until_end(latencies: list[int]) -> None:
            now = time.perf_counter_ns()
            while now < end:
                call(REQUEST)
                before, now = now, time.perf_counter_ns()
                latencies.append(now - before)

        found: list[list[int]] = [[] for _ in range(concurrency)]
        threads = [threading.Thread(target=until_end, args=(latencies,)) for latencies in found[1:]]
        for thread in threads:
            thread.start()
        until_end(found[0])
        for thread in threads:
            thread.join()
        told(begin, found)

    def run(self) -> None:
        """Obey until stdin ends."""
        self.unary(REQUEST)
        say(ready=True)
        for command in commands():
            if command["do"] == "calls":
                for _ in range(command["count"]):
                    self.unary(REQUEST)
                say(calls=command["count"])
            elif not common(command):
                self.load(command["kind"], command["concurrency"], command["seconds"])


class Tasks:
    """Makes calls from tasks over one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.unary = by_hand(channel.unary_unary(METHOD))
        self._stream = channel.unary_stream(STREAM)

    async def stream(self, request: bytes) -> None:
        """Read one stream to its end."""
        async for _ in self._stream(request):
            pass

    async def load(self, kind: str, concurrency: int, seconds: float) -> None:
        """Make calls from *concurrency* tasks for *seconds*."""
        call = getattr(self, kind)
        begin = time.perf_counter_ns()
        end = begin + int(seconds * 1e9)

        async def until_end() -> list[int]:
            latencies, now = [], time.perf_counter_ns()
            while now < end:
                await call(REQUEST)
                before, now = now, time.perf_counter_ns()
                latencies.append(now - before)
            return latencies

        told(begin, await asyncio.gather(*(until_end() for _ in range(concurrency))))

    async def run(self) -> None:
        """Obey until stdin ends."""

        async def do(command: dict[str, Any]) -> None:
            if not common(command):
                await self.load(command["kind"], command["concurrency"], command["seconds"])

        await self.unary(REQUEST)
        say(ready=True)
        await commands_one_by_one(do)


async def aio(port: str) -> None:
    """Run Tasks over a channel of this loop."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await Tasks(channel).run()


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        Threads(sys.argv[2]).run()
    else:
        asyncio.run(aio(sys.argv[2]))
