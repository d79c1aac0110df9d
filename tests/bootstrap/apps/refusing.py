"""An asyncio server that ends calls whose client still writes: grpc then says "internal error" first, and the server's status a moment later."""

import asyncio
from contextlib import suppress

import grpc

CALLS = 30


async def fill(requests, context):
    async for _ in requests:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


async def track(requests, context):
    async for _ in requests:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        yield b""


async def five():
    for _ in range(5):
        yield b"x"


async def main():
    server = grpc.aio.server()
    handlers = {
        "Fill": grpc.stream_unary_rpc_method_handler(fill),
        "Track": grpc.stream_stream_rpc_method_handler(track),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Refusing", handlers),))
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        for _ in range(CALLS):
            with suppress(grpc.aio.AioRpcError):
                await channel.stream_unary("/test.Refusing/Fill")(five())
            with suppress(grpc.aio.AioRpcError):
                async for _ in channel.stream_stream("/test.Refusing/Track")(five()):
                    pass
    await server.stop(0)


asyncio.run(main())
