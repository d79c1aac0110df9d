"""The only way from one operator to the API server: it counts the writes that pass, and can tell of one at an exact moment."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp import web

from tests.cluster.kubeconfig import by_token

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.kills.nursery import Child
    from tests.cluster import ControlPlane

HOP = {"host", "connection", "transfer-encoding", "content-length", "keep-alive"}
LARGEST = 8 << 20


@dataclass
class Trap:
    """Kills *victim* at write number *at*: before it is sent on, when it is done and unanswered, or *after* seconds later."""

    at: int
    moment: str
    after: float = 0.0
    victim: Child | None = None
    sprung: bool = False

    def now(self) -> None:
        self.sprung = True
        if self.victim is not None:
            self.victim.kill()


@dataclass
class Door:
    """A context manager; *kubeconfig* leads through it. Renewals of a Lease pass uncounted."""

    control_plane: ControlPlane
    directory: Path
    trap: Trap | None = None
    writes: list[tuple[str, str, int]] = field(default_factory=list)
    """(method, path, status) of what was sent on."""
    counted: int = 0

    async def __aenter__(self) -> Self:
        context = ssl.create_default_context(cafile=self.control_plane.ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        app = web.Application(client_max_size=LARGEST)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.kubeconfig = by_token(
            self.directory / f"door-{port}.kubeconfig",
            f"http://127.0.0.1:{port}",
            self.control_plane.ca_file,
            self.control_plane.token,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    def set(self, trap: Trap | None) -> None:
        self.counted, self.trap = 0, trap

    def patched(self) -> list[str]:
        """Paths of the Deployments that were patched, one per patch that was accepted."""
        return [
            path
            for method, path, status in self.writes
            if method == "PATCH" and "/deployments/" in path and status < 300
        ]

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        is_write = request.method != "GET" and "/leases" not in request.path
        trap = None
        if is_write:
            self.counted += 1
            trap = self.trap if self.trap is not None and self.counted == self.trap.at else None
        if trap is not None and trap.moment == "before":
            trap.now()
            raise web.HTTPServiceUnavailable  # nobody is there to read it
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        url = f"{self.control_plane.url}{request.raw_path}"
        async with self._session.request(request.method, url, data=body or None, headers=headers) as answer:
            if is_write:
                self.writes.append((request.method, request.path, answer.status))
            if trap is not None and trap.moment == "unanswered":
                trap.now()
                raise web.HTTPServiceUnavailable
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            with contextlib.suppress(ConnectionError):  # the one who asked is dead
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
        if trap is not None:
            asyncio.get_running_loop().call_later(trap.after, trap.now)
        return response
