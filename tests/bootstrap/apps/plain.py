"""Echo server and client of all four kinds, sync or asyncio, in one or two processes.

`plain.py serve sync|aio` prints its port and serves until its stdin ends; `plain.py call sync|aio PORT` calls each kind once;
`plain.py both sync|aio` does both.
"""

import asyncio
import sys
from concurrent import futures

import grpc
import grpc.aio


def join(parts):
    return b"".join(parts)


def twice(request, _):
    yield request
    yield request


SYNC = {
    "UU": grpc.unary_unary_rpc_method_handler(lambda request, _: request * 2),
    "US": grpc.unary_stream_rpc_method_handler(twice),
    "SU": grpc.stream_unary_rpc_method_handler(lambda requests, _: join(requests)),
    "SS": grpc.stream_stream_rpc_method_handler(lambda requests, _: (request for request in requests)),
}


async def aio_uu(request, _):
    return request * 2


async def aio_us(request, context):
    await context.write(request)
    await context.write(request)


async def aio_su(requests, _):
    return join([request async for request in requests])


async def aio_ss(requests, _):
    async for request in requests:
        yield request


AIO = {
    "UU": grpc.unary_unary_rpc_method_handler(aio_uu),
    "US": grpc.unary_stream_rpc_method_handler(aio_us),
    "SU": grpc.stream_unary_rpc_method_handler(aio_su),
    "SS": grpc.stream_stream_rpc_method_handler(aio_ss),
}


def serve_sync():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", SYNC),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


async def serve_aio():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", AIO),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


def call_sync(port):
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        print(channel.unary_unary("/test.Echo/UU")(b"abc"))
        print(list(channel.unary_stream("/test.Echo/US")(b"abc")))
        print(channel.stream_unary("/test.Echo/SU")(iter([b"abc", b"de"])))
        print(list(channel.stream_stream("/test.Echo/SS")(iter([b"abc", b"de"]))))


async def call_aio(port):
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        print(await channel.unary_unary("/test.Echo/UU")(b"abc"))
        print([message async for message in channel.unary_stream("/test.Echo/US")(b"abc")])
        print(await channel.stream_unary("/test.Echo/SU")(iter([b"abc", b"de"])))
        print([message async for message in channel.stream_stream("/test.Echo/SS")(iter([b"abc", b"de"]))])


async def aio(what, port):
    if what != "call":
        server, port = await serve_aio()
    if what == "serve":
        print(port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    else:
        await call_aio(port)
    if what != "call":
        await server.stop(None)


def sync(what, port):
    if what != "call":
        server, port = serve_sync()
    if what == "serve":
        print(port, flush=True)
        sys.stdin.read()
    else:
        call_sync(port)
    if what != "call":
        server.stop(None).wait()


if __name__ == "__main__":
    what, stack, *rest = sys.argv[1:]
    port = int(rest[0]) if rest else 0
    if stack == "sync":
        sync(what, port)
    else:
        asyncio.run(aio(what, port))
