"""Keeps a Store equal to the API server: paged list, then watch, for as long as the operator lives.

Nothing is left to luck: bookmarks keep the position fresh, a silent connection counts as dead, 410 means a new list whose
gaps are deletions, failures back off with jitter, and a resync now and then announces everything again. kopf's watcher
forgets deletions over a 410 and has no resync, and its index is quadratic: hence this one for whatever is many.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grpctracing import telemetry
from grpctracing.kube import errors
from grpctracing.kube.part import Part
from grpctracing.kube.resources import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON, Key, Resource
    from grpctracing.kube.store import Store

log = logging.getLogger(__name__)

PAGE: Final = 200
CHANGES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
FIRST_BACKOFF: Final = 0.5
LONGEST_BACKOFF: Final = 30.0
TOGETHER: Final = 50
"""Objects that a resync announces before it lets others in: some milliseconds."""
SHORTEST_WATCH: Final = 1.0
"""A watch that ends before that without a word was not one: asking again at once would be a loop."""


@dataclass(slots=True)
class Informer:
    """Follows one kind of object in one namespace (None: in all, of which it keeps a *part*) and puts it into *store*."""

    client: Client
    resource: Resource
    store: Store
    namespace: str | None = None
    selector: str = ""
    part: Part = field(default_factory=Part)
    page: int = PAGE
    """Objects that are asked for at once: of all that a list holds, only a page is in memory as it came."""
    resync: float = 600.0
    watch_timeout: int = 290
    """Seconds after which the server is asked to end a watch: connections move on when API servers come and go."""
    inactivity: float = 90.0
    """Seconds without a byte after which a watch is dead; the server's bookmarks come about once a minute."""
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    heard: float = field(init=False, default=0.0)
    """When the server last answered (event loop time)."""
    _position: str = field(init=False, default="")
    _listing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    _failures: int = field(init=False, default=0)
    _failing_since: float | None = field(init=False, default=None)

    async def run(self) -> None:
        """Follow until cancelled. A refusal (Role, kind not served yet) is retried like any other failure."""
        resync = asyncio.create_task(self._resync(), name=f"resync {self.resource.plural}")
        try:
            while True:
                await self._follow_once()
        finally:
            resync.cancel()

    async def _follow_once(self) -> None:
        try:
            if not self._position:
                await self._list()
            await self._watch()
        except errors.Gone as error:
            log.info("watch position too old, listing again", extra=self._fields())
            at_once = bool(self._position) and not self._failures
            self._position = ""
            # The first list is due now; where that is refused too, or the watch after it, waiting is all that is left.
            await self._back_off(error, at_once=at_once)
        except errors.ApiError as error:
            # The position stays: after a cut the watch goes on where it was, nothing is listed again.
            if not isinstance(error, errors.Unavailable):
                self._position = ""
            await self._back_off(error)

    async def _back_off(self, error: errors.ApiError, *, at_once: bool = False) -> None:
        """Wait, longer after each failure in a row, and at least as long as the server asks; tell of the first only."""
        wait = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**self._failures)
        wait *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
        wait = max(wait, min(error.retry_after or 0.0, LONGEST_BACKOFF))
        self._failures = min(self._failures + 1, 10)
        if at_once:
            return
        level = logging.WARNING if self._failing_since is None else logging.DEBUG
        if self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()
        note = "what was last seen stays in force; tries again until it works"
        fields = {**self._fields(), "error": str(error), "retry_in": round(wait, 1), "note": note}
        log.log(level, "watch failed", extra=fields)
        await asyncio.sleep(wait)

    def _recovered(self) -> None:
        self._failures = 0
        if self._failing_since is not None:
            seconds = asyncio.get_running_loop().time() - self._failing_since
            self._failing_since = None
            log.info("watch works again", extra={**self._fields(), "after_seconds": round(seconds, 1)})

    async def take_up(self, namespace: str) -> None:
        """Bring the store to what *namespace* holds, which belongs to the part from now on; raises ApiError."""
        async with self._listing:
            with self.part.listing(namespace) as late:
                position = await self._pages(namespace)
                self.part.listed(namespace, position)
            for event in late:
                self._keep(event)

    async def _list(self) -> None:
        async with self._listing:
            position = await self._pages(self.namespace)
        self._position = position
        self.synced.set()

    async def _pages(self, namespace: str | None) -> str:
        """Put a list into the store, a page at a time: two of them take many times the memory of what is kept. Return its version."""
        listed: set[Key] = set()
        query = {"limit": str(self.page), "labelSelector": self.selector}
        while True:
            version, token = await self._page(namespace, query, listed)
            if not token:
                self.store.keep_only(namespace, listed)
                return version
            query["continue"] = token

    async def _page(self, namespace: str | None, query: Mapping[str, str], listed: set[Key]) -> tuple[str, str | None]:
        """Store one page and add its keys to *listed*; return the list's version, and the token of the next page if there is one."""
        page = await self.client.page(self.resource, namespace, query)
        self._alive()
        for obj in page.get("items") or ():
            if not self.part.has(obj["metadata"].get("namespace", "")):
                continue
            # Items of a list come without their type, which a PATCH body and an event's reference need.
            obj.update(apiVersion=self.resource.api_version, kind=self.resource.kind)
            self.store.put(obj)
            listed.add(key_of(obj))
        return page["metadata"]["resourceVersion"], page["metadata"].get("continue")

    async def _watch(self) -> None:
        query = {
            "resourceVersion": self._position,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(self.watch_timeout),
            "labelSelector": self.selector,
        }
        loop = asyncio.get_running_loop()
        begun = loop.time()
        heard = False
        lasting: list[asyncio.TimerHandle] = []
        watch = self.client.watch(
            self.resource,
            self.namespace,
            query,
            inactivity=self.inactivity,
            opened=lambda: lasting.append(loop.call_later(SHORTEST_WATCH, self._recovered)),
        )
        try:
            async for event in watch:
                heard = True
                self._take(event)
        finally:
            for timer in lasting:
                timer.cancel()
        if not heard and loop.time() - begun < SHORTEST_WATCH:
            raise errors.Unavailable(0, "the watch ended as soon as it had begun")

    def _take(self, event: JSON) -> None:
        self._alive()
        self._recovered()
        self._position = event["object"]["metadata"]["resourceVersion"]
        self._keep(event)

    def _keep(self, event: JSON) -> None:
        obj = event["object"]
        if event["type"] not in CHANGES or not self.part.takes(event):
            return
        if event["type"] == "DELETED":
            self.store.remove(key_of(obj), obj)
        else:
            self.store.put(obj)

    async def _resync(self) -> None:
        while True:
            await asyncio.sleep(self.resync)
            if self.synced.is_set():
                await self._announce()

    async def _announce(self) -> None:
        """Announce everything, a few at a time: ten thousand in one go would keep a Lease's renewal waiting."""
        for number, key in enumerate(self.store.keys(self.namespace), 1):
            self.store.announce(key)
            if number % TOGETHER == 0:
                await asyncio.sleep(0)

    def _alive(self) -> None:
        self.heard = asyncio.get_running_loop().time()
        telemetry.WATCH_EVENTS.labels(self.resource.plural).inc()

    def _fields(self) -> dict[str, str]:
        return {"kind": self.resource.kind, "namespace": self.namespace or "*"}
