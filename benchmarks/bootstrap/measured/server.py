"""The measured server: `server.py sync|aio` says its port, then lives until stdin ends."""

from __future__ import annotations

import asyncio
import sys
from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from control import MESSAGES, REQUEST, commands, commands_one_by_one, common, say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def handlers(echo: Callable[..., Any], stream: Callable[..., Any]) -> tuple[grpc.GenericRpcHandler]:
    """Return the two methods; their messages are bytes, so nothing but grpc and its instrumentation is measured."""
    methods = {
        "Call": grpc.unary_unary_rpc_method_handler(echo),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    return (grpc.method_handlers_generic_handler("bench.Echo", methods),)


def sync() -> None:
    """Serve with threads."""

    def stream(_request: bytes, _context: object) -> Iterator[bytes]:
        for _ in range(MESSAGES):
            yield REQUEST

    server = grpc.server(futures.ThreadPoolExecutor(10))
    server.add_generic_rpc_handlers(handlers(lambda request, _: request, stream))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say(port=port)
    for command in commands():
        common(command)
    server.stop(None).wait()


async def aio() -> None:
    """Serve with asyncio."""

    async def echo(request: bytes, _context: object) -> bytes:
        return request

    async def stream(_request: bytes, _context: object) -> AsyncIterator[bytes]:
        for _ in range(MESSAGES):
            yield REQUEST

    async def do(command: dict[str, Any]) -> None:
        # a flush blocks; calls are over by then
        common(command)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers(echo, stream))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    say(port=port)
    await commands_one_by_one(do)
    await server.stop(None)


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        sync()
    else:
        asyncio.run(aio())
