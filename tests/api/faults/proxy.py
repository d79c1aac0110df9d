"""A reverse proxy in front of the API server that does what a test tells it to, and counts what was asked.

It runs in a thread with a loop of its own, so that one operator may be led through it by many tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOP = {"host", "connection", "transfer-encoding", "content-length", "authorization", "content-encoding"}


@dataclass(eq=False)
class Fault:
    """What happens to requests whose "VERB path?query" *match* finds, in order of the list; *times* None: until lifted.

    *status* answers in the server's place, with *headers* and *message*; *text* does so with something that is no JSON; *delay*
    waits first; *drop* closes the connection; *cut_after* bytes of the answer it is broken off; *event* is the only line of a watch.
    """

    match: str
    status: int = 0
    message: str = "by the fault proxy"
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    cut_after: int | None = None
    event: bytes = b""
    times: int | None = None
    hits: int = 0

    def takes(self, asked: str) -> bool:
        if self.times == self.hits or not re.search(self.match, asked):
            return False
        self.hits += 1
        return True


@dataclass
class Asked:
    """One request, and what came of it (status 0: nothing)."""

    what: str
    token: str
    status: int = 0
    at: float = field(default_factory=time.monotonic)


class Proxy:
    """A context manager: inside it, *url* leads to the API server at *upstream*, as an administrator."""

    def __init__(self, upstream: Callable[[], str], token: str, ca_file: str) -> None:
        self.upstream = upstream
        self.token = token
        self.ca_file = ca_file
        self.accepted: str | None = None
        """The only token that is let through (None: any)."""
        self.faults: list[Fault] = []
        self.log: list[Asked] = []
        self.url = ""
        self._open: list[web.Request] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @contextlib.contextmanager
    def fault(self, *faults: Fault) -> Iterator[tuple[Fault, ...]]:
        """Have *faults* happen inside the block."""
        self.faults += faults
        try:
            yield faults
        finally:
            for each in faults:
                self.faults.remove(each)

    def cut(self, match: str = "watch=true") -> None:
        """Break all connections off on which an answer to *match* is being sent."""
        self._call(self._cut(match))

    def asked(self, match: str, *, status: range = range(1000)) -> list[str]:
        """Return the requests so far that *match* finds and that were answered with one of *status*."""
        return [each.what for each in list(self.log) if re.search(match, each.what) and each.status in status]

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _start(self) -> None:
        context = ssl.create_default_context(cafile=self.ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context), auto_decompress=False, trust_env=False
        )
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        await self._cut("")
        await self._runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._session.close()
        await asyncio.sleep(0.25)  # TLS connections say goodbye in their own time (aiohttp, "Graceful Shutdown")

    async def _cut(self, match: str) -> None:
        for request in list(self._open):
            if re.search(match, name_of(request)):
                abort(request)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(name_of(request), request.headers.get("Authorization", ""))
        self.log.append(asked)
        fault = next((each for each in self.faults if each.takes(asked.what)), None)
        if fault is not None:
            await asyncio.sleep(fault.delay)
            if fault.drop:
                abort(request)
                return web.Response()
        if self.accepted is not None and asked.token.split()[-1:] != [self.accepted]:
            asked.status = 401
            return refusal(Fault("", 401, "Unauthorized"))
        if fault is not None and (fault.status or fault.text):
            asked.status = fault.status or 200
            return refusal(fault)
        self._open.append(request)
        try:
            return await self._forward(request, asked, fault)
        except (aiohttp.ClientError, OSError):
            abort(request)
            return web.Response()
        finally:
            self._open.remove(request)

    async def _forward(self, request: web.Request, asked: Asked, fault: Fault | None) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        headers["Authorization"] = f"Bearer {self.token}"
        body = await request.read()
        async with self._session.request(
            request.method,
            self.upstream() + request.raw_path,
            headers=headers,
            data=body or None,
            timeout=aiohttp.ClientTimeout(600),
        ) as answer:
            asked.status = answer.status
            kept = {
                name: value for name, value in answer.headers.items() if name.lower() not in HOP - {"content-encoding"}
            }
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            if fault is not None and fault.event:
                await response.write(fault.event + b"\n")
                return response
            left = fault.cut_after if fault is not None else None
            async for chunk in answer.content.iter_any():
                if left is not None and len(chunk) > left:
                    await response.write(chunk[:left])
                    abort(request)
                    return response
                left = None if left is None else left - len(chunk)
                await response.write(chunk)
            return response


def name_of(request: web.Request) -> str:
    return f"{request.method} {request.raw_path}"


def abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def refusal(fault: Fault) -> web.Response:
    if fault.text:
        return web.Response(text=fault.text, status=fault.status or 200)
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": fault.status, "message": fault.message}
    return web.json_response(body, status=fault.status, headers=fault.headers)
