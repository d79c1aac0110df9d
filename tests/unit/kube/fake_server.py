"""An API server of a few lines, scripted by the test: what each request is answered with, and what was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from grpctracing.kube.client import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

Answer = web.StreamResponse | dict[str, Any]


def thing(name: str, version: int, namespace: str = "production", uid: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
        },
        **fields,
    }


def page(version: int, *items: dict[str, Any], token: str = "") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version), "continue": token}, "items": list(items)}


def refusal(code: int, message: str = "because", **headers: str) -> web.Response:
    return web.json_response({"code": code, "message": message, "reason": "Test"}, status=code, headers=headers)


@dataclass
class FakeServer:
    """`lists` are answered in turn (the last one for ever); each watch plays one script of `watches`, then stays silent."""

    lists: list[Any] = field(default_factory=list)
    watches: list[list[Any]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    respond: Callable[[web.Request], Any] | None = None
    open_watches: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, dict(request.query)))
        if request.can_read_body:
            self.bodies.append(await request.json())
        if self.respond is not None:
            return as_response(self.respond(request))
        if request.query.get("watch") == "true":
            return await self._watch(request)
        return as_response(self.lists.pop(0) if len(self.lists) > 1 else self.lists[0])

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        script = self.watches.pop(0) if self.watches else []
        if script and isinstance(script[0], web.Response):
            return script[0]
        response = web.StreamResponse()
        await response.prepare(request)
        self.open_watches += 1
        for step in script:
            if step == "end":
                return response
            if step == "cut":
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(step if isinstance(step, bytes) else json.dumps(step).encode() + b"\n")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return response

    def count(self, *, watch: bool) -> int:
        return sum((query.get("watch") == "true") == watch for _, _, query in self.asked)


def as_response(answer: Any) -> web.StreamResponse:
    return web.json_response(answer) if isinstance(answer, dict) else answer


@contextlib.asynccontextmanager
async def served(fake: FakeServer) -> AsyncIterator[Client]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", fake.handle)
    server = TestServer(app)
    await server.start_server()
    client = Client(Configuration(host=str(server.make_url("")).rstrip("/")), rate=1000)
    try:
        yield client
    finally:
        await client.close()
        await server.close()


async def eventually(check: Callable[[], Any], within: float = 5.0) -> Any:
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while not (answer := check()):
        assert loop.time() < end, f"still {answer!r} after {within} s"
        await asyncio.sleep(0.01)
    return answer
