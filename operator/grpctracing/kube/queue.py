"""The work queue: keys, not events.

A key that is added ten times while it waits is worked on once; one that is added while it is being worked on is worked on
again afterwards, never twice at the same time. Failures come back later and later, each key by itself. Who is next: `turns`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grpctracing import telemetry
from grpctracing.kube import errors
from grpctracing.kube.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from grpctracing.kube.resources import Key

log = logging.getLogger(__name__)

FIRST_RETRY: Final = 0.1
LONGEST_RETRY: Final = 60.0


@dataclass(slots=True)
class Queue:
    """Keys that wait, are worked on, or come back; *name* is that of the controller, in logs and metrics."""

    name: str
    _ready: Turns = field(default_factory=Turns)
    _working: set[Key] = field(default_factory=set)
    _again: dict[Key, bool] = field(default_factory=dict)
    _later: dict[Key, asyncio.TimerHandle] = field(default_factory=dict)
    _failures: dict[Key, int] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: bool = False
    _rest: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, key: Key, *, backlog: bool = False) -> None:
        """Have *key* worked on as soon as a worker is free, of the *backlog* after what users have just changed."""
        if (timer := self._later.pop(key, None)) is not None:
            timer.cancel()
        if key in self._working:
            self._again[key] = backlog and self._again.get(key, True)
        else:
            self._ready.add(key, backlog=backlog)
            self._wake.set()
            telemetry.QUEUE_DEPTH.labels(self.name).set(len(self._ready))

    def add_after(self, key: Key, seconds: float) -> None:
        """Have *key* worked on in *seconds*, or before if something else asks for it."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        known = self._later.get(key)
        if key in self._ready or (known is not None and known.when() <= due):
            return
        if known is not None:
            known.cancel()
        self._later[key] = loop.call_at(due, lambda: self.add(key, backlog=True))

    def retry(self, key: Key, at_least: float = 0.0) -> float:
        """Have a failed *key* worked on again, later each time and not before *at_least*; return the delay in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(failures - 1, 20))
        delay *= random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, keeps no secret
        delay = max(delay, min(at_least, LONGEST_RETRY))
        self.add_after(key, delay)
        return delay

    def idle(self) -> bool:
        """Tell whether nothing waits or is being worked on (delayed keys do not count)."""
        return not self._ready and not self._working

    async def finish(self) -> None:
        """Begin nothing more; return when what is being worked on is done."""
        self.stop()
        await self._rest.wait()

    def stop(self) -> None:
        """Begin nothing more: what is being worked on may go on."""
        self._stopped = True
        if not self._working:
            self._rest.set()

    async def work(self, reconcile: Callable[[Key], Awaitable[float | None]], workers: int) -> None:
        """Call *reconcile* for each key with *workers* tasks until cancelled.

        It returns the seconds after which it wants to be called again, or None. If it raises, the key is retried with
        growing delay and its return value never existed.
        """
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._worker(reconcile), name=f"{self.name} worker {number}")

    async def _worker(self, reconcile: Callable[[Key], Awaitable[float | None]]) -> None:
        while True:
            key = await self._take()
            try:
                await self._run(reconcile, key)
            finally:
                self._working.discard(key)
                if key in self._again:
                    self.add(key, backlog=self._again.pop(key))
                if self._stopped and not self._working:
                    self._rest.set()
            # Most keys need no call, so nothing else would let others in, a Lease's renewal among them, until the last is done.
            await asyncio.sleep(0)

    async def _take(self) -> Key:
        while self._stopped or not self._ready:
            self._wake.clear()
            await self._wake.wait()
        key = self._ready.take()
        self._working.add(key)
        telemetry.QUEUE_DEPTH.labels(self.name).set(len(self._ready))
        return key

    async def _run(self, reconcile: Callable[[Key], Awaitable[float | None]], key: Key) -> None:
        started = time.perf_counter()
        result = "ok"
        try:
            with telemetry.span(f"reconcile {self.name}", key=str(key)):
                requeue = await reconcile(key)
        except errors.ApiError as error:
            result = "retry"
            delay = self.retry(key, error.retry_after or 0.0)
            log.warning("reconcile failed", extra=self._fields(key, error=str(error), retry_in=round(delay, 2)))
        except Exception:  # the loop of last resort: a bug in one object must not stop the others
            result = "error"
            delay = self.retry(key)
            log.exception("reconcile broke", extra=self._fields(key, retry_in=round(delay, 2)))
        else:
            self._failures.pop(key, None)
            if requeue is not None:
                self.add_after(key, requeue)
        telemetry.RECONCILES.labels(self.name, result).inc()
        telemetry.RECONCILE_SECONDS.labels(self.name).observe(time.perf_counter() - started)

    def _fields(self, key: Key, **more: object) -> dict[str, object]:
        return {"controller": self.name, "key": str(key), **more}
