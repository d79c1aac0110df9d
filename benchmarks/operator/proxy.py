"""A reverse proxy between an operator and the API server: counts what is asked by verb and kind, and can expire all watches.

It is plain HTTP on loopback, so it takes TLS off the operator and puts its own time on each request: figures of latency
contain it, figures of the operator's CPU contain no encryption.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import yaml
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.cluster import ControlPlane

GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
PASSED = ("Content-Type", "Accept", "User-Agent")


class Proxy:
    """Counts by (verb, plural); *last_write* is when the last request that is not a read was answered."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.last_write = 0.0
        self._plane = control_plane
        self._watches: set[asyncio.Task[object] | None] = set()
        self._expired_until = 0.0
        self._session: aiohttp.ClientSession | None = None
        self.url = ""

    def taken(self) -> Counter[tuple[str, str]]:
        """Return the counts so far."""
        return self.counts.copy()

    def expire(self, seconds: float) -> int:
        """Cut every watch, and answer each new one with 410 for *seconds*; return how many were cut."""
        self._expired_until = time.monotonic() + seconds
        cut = [task for task in self._watches if task is not None]
        for task in cut:
            task.cancel()
        return len(cut)

    def kubeconfig(self, file: Path) -> Path:
        """Write the kubeconfig of whoever goes through here."""
        cluster = {"name": "bench", "cluster": {"server": self.url}}
        context = {"name": "bench", "context": {"cluster": "bench", "user": "bench"}}
        user = {"name": "bench", "user": {"token": self._plane.token}}
        head = {"apiVersion": "v1", "kind": "Config", "current-context": "bench"}
        file.write_text(yaml.safe_dump(head | {"clusters": [cluster], "contexts": [context], "users": [user]}))
        return file

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Serve inside the context."""
        context = ssl.create_default_context(cafile=self._plane.ca_file)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # A handler whose client has gone away is cancelled: a watch would else stay open at the API server.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        verb, plural = told(request)
        self.counts[verb, plural] += 1
        if verb == "WATCH" and time.monotonic() < self._expired_until:
            # As the API server says it: an event, where one would expect a status.
            return web.json_response({"type": "ERROR", "object": GONE}, dumps=lambda event: json.dumps(event) + "\n")
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        headers |= {"Authorization": f"Bearer {self._plane.token}", "Accept-Encoding": "identity"}
        body = await request.read() if request.can_read_body else None
        assert self._session is not None
        target = f"{self._plane.url}{request.raw_path}"
        task = asyncio.current_task() if verb == "WATCH" else None
        self._watches.add(task)
        try:
            async with self._session.request(request.method, target, headers=headers, data=body) as answer:
                kept = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
                if verb != "WATCH":
                    text = await answer.read()
                    if request.method != "GET":
                        self.last_write = time.monotonic()
                    return web.Response(status=answer.status, body=text, headers=kept)
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                return response
        finally:
            self._watches.discard(task)


def told(request: web.Request) -> tuple[str, str]:
    """Return verb and plural of a request, as the API server's own metrics have them."""
    parts = [part for part in request.path.split("/") if part]
    parts = parts[2:] if parts[:1] == ["api"] else parts[3:]
    if len(parts) > 2 and parts[0] == "namespaces":  # noqa: PLR2004 - namespaces, its name, what is in it
        parts = parts[2:]
    plural = parts[0] if parts else "discovery"
    named = len(parts) > 1
    sub = f"/{parts[2]}" if len(parts) > 2 else ""  # noqa: PLR2004 - plural, name, subresource
    if request.method != "GET":
        return request.method, plural + sub
    if request.query.get("watch") == "true":
        return "WATCH", plural
    return ("GET" if named or plural == "discovery" else "LIST"), plural + sub


def difference(before: Counter[tuple[str, str]], after: Counter[tuple[str, str]]) -> dict[str, int]:
    """Return what was asked in between, as "VERB plural"."""
    return {f"{verb} {plural}": number for (verb, plural), number in sorted((after - before).items())}


def writes(asked: dict[str, int]) -> int:
    """Return how many of these were writes."""
    return sum(number for what, number in asked.items() if what.split()[0] not in {"GET", "LIST", "WATCH"})
