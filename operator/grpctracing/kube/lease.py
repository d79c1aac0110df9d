"""Leader election over a `coordination.k8s.io/v1` Lease: any number of operators, one that writes.

Every write is guarded by the resourceVersion that was read, so of two that want the Lease one is told 409. The leader asks
`leads()` before each of its writes: a process that was paused, or cut off, for longer than its deadline finds the answer
changed before it has heard of its successor. Leadership that was lost is not regained: the process ends and begins anew.
kubernetes.aio has an election of its own, which fails on its first request (37.0) and writes local time as UTC.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import socket
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn

from grpctracing.kube import errors
from grpctracing.kube.apply import MANAGED_BY, MANAGER, find
from grpctracing.kube.client import MERGE
from grpctracing.kube.election import Record, Sighting, Step, Times, claim, elect, expiry, look, resignation
from grpctracing.kube.resources import LEASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON, Key

log = logging.getLogger(__name__)

WATCH_TIMEOUT: Final = "290"
PAUSE: Final = 2.0
"""Seconds until a candidate tries again that could not even ask."""
NO_ANSWER: Final = "no answer in time"


class Lost(Exception):  # noqa: N818 - a fact, not a fault of ours
    """This process led and does so no longer; nothing that it has not sent yet will be sent."""


class Elector:
    """One candidate for the Lease *key*; *seconds* is how long a leader that is not heard of is believed in.

    *client* is for the election alone: the operator's own requests must not stand in its way, nor its fence.
    *notes*, asked at each claim, are the annotations that the Lease is to have.
    """

    def __init__(
        self,
        client: Client,
        key: Key,
        seconds: int,
        clock: Callable[[], float] = time.monotonic,
        notes: Callable[[], dict[str, str]] = dict,
    ) -> None:
        self.client = client
        self.key = key
        self.notes = notes
        self.times = Times(seconds)
        self.me = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        self.trouble: str | None = None
        """Why the last look at the Lease failed, or None."""
        self._clock = clock
        self._until = -math.inf
        self._lease: JSON | None = None
        self._seen: Sighting | None = None
        self._claimed = False

    def leads(self) -> bool:
        """Tell whether this process may write now. Asks nobody: a look at the clock."""
        return self._clock() < self._until

    async def acquire(self) -> None:
        """Return when this process leads, however long that takes. A refusal (Role, server away) is tried again."""
        while not self.leads():
            try:
                async with asyncio.timeout(self.times.attempt):
                    await self._look()
                    step = self._step()
                    if step is not Step.WAIT:
                        await self._claim()
                self.trouble = None
                if step is Step.WAIT:
                    await self._stand_by()
            except errors.Conflict:
                continue  # somebody was faster: see who
            except (errors.ApiError, TimeoutError) as error:
                self.trouble = f"can't use Lease {self.key}: {str(error) or NO_ANSWER}"
                log.warning("election failed", extra=self._fields(error=self.trouble))
                await asyncio.sleep(PAUSE * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, keeps no secret
        log.info("leading", extra=self._fields())

    async def keep(self) -> NoReturn:
        """Renew until that is no longer possible; raises Lost."""
        pause = self.times.renew
        while True:
            await asyncio.sleep(pause)
            left = self._until - self._clock()
            if left <= 0:
                raise self._lost(f"not renewed for {self.times.deadline - left:.1f} s")
            try:
                async with asyncio.timeout(min(left, self.times.attempt)):
                    await self._renew()
                pause = self.times.renew
            except (errors.ApiError, TimeoutError) as error:
                log.warning("lease not renewed", extra=self._fields(error=str(error) or NO_ANSWER))
                pause = self.times.retry

    async def release(self) -> None:
        """Give the Lease back if it has our name, so that nobody waits; call it when nothing here writes any more."""
        self._until = -math.inf
        if not self._claimed:
            return
        try:
            async with asyncio.timeout(self.times.attempt):
                await self._look()
                if self._lease is not None and Record.of(self._lease).holder == self.me:
                    await self._patch(self._lease, resignation(datetime.now(UTC)))
                    log.info("lease released", extra=self._fields())
        except (errors.ApiError, TimeoutError) as error:
            log.warning("lease not released", extra=self._fields(error=str(error) or NO_ANSWER))

    async def _renew(self) -> None:
        try:
            await self._claim()
        except (errors.Conflict, errors.NotFound):
            # Annotated by somebody, deleted, or renewed by a request of ours whose answer was lost. Or taken.
            await self._look()
            if self._lease is not None and (holder := Record.of(self._lease).holder) != self.me:
                raise self._lost(f"taken by {holder or 'nobody'}") from None
            await self._claim()

    def _lost(self, why: str) -> Lost:
        self._until = -math.inf
        log.error("lost the lease", extra=self._fields(why=why))
        return Lost(f"Lease {self.key}: {why}")

    async def _stand_by(self) -> None:
        """Return when the Lease may be free: given back, deleted, or for too long not renewed."""
        if self._lease is None:  # deleted under its holder, which may make it again
            await asyncio.sleep(min(self._patience(), self.times.renew))
            return
        log.info("standing by", extra=self._fields(holder=Record.of(self._lease).holder))
        query = {
            "fieldSelector": f"metadata.name={self.key.name}",
            "resourceVersion": self._lease["metadata"]["resourceVersion"],
            "timeoutSeconds": WATCH_TIMEOUT,
        }
        watch = self.client.watch(LEASES, self.key.namespace, query, inactivity=self.times.lease * 2)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience()) as limit, contextlib.aclosing(watch) as events:
                async for event in events:
                    self._see(event["object"])
                    if event["type"] == "DELETED" or self._step() is not Step.WAIT:
                        return
                    limit.reschedule(asyncio.get_running_loop().time() + self._patience())

    async def _look(self) -> None:
        self._see(await find(self.client, LEASES, self.key.namespace, self.key.name))

    def _see(self, lease: JSON | None) -> None:
        self._lease = lease
        if lease is not None:
            self._seen = look(self._seen, Record.of(lease), self._clock())

    def _step(self) -> Step:
        return elect(self._seen, self.me, self._clock(), self.times.lease)

    def _patience(self) -> float:
        return max(0.0, expiry(self._seen, self.times.lease) - self._clock()) if self._seen is not None else 0.0

    async def _claim(self) -> None:
        """Take or renew the Lease as it was last seen; raises Conflict where it has changed since."""
        self._claimed = True
        begun = self._clock()  # before the request: the others count from when the server has it
        known = self._lease
        spec = claim(Record.of(known) if known is not None else None, self.me, self.times.lease, datetime.now(UTC))
        if known is None:
            metadata = {"name": self.key.name, "labels": {MANAGED_BY: MANAGER}, "annotations": self.notes()}
            self._lease = await self.client.create(LEASES, self.key.namespace, {"metadata": metadata, "spec": spec})
        else:
            self._lease = await self._patch(known, spec, self.notes())
        self._until = begun + self.times.deadline

    async def _patch(self, lease: JSON, spec: JSON, notes: dict[str, str] | None = None) -> JSON:
        metadata = {"resourceVersion": lease["metadata"]["resourceVersion"], "annotations": notes or {}}
        body = {"metadata": metadata, "spec": spec}
        return await self.client.patch(LEASES, self.key.namespace, self.key.name, body, kind=MERGE)

    def _fields(self, **more: object) -> dict[str, object]:
        return {"lease": str(self.key), "identity": self.me, **more}
