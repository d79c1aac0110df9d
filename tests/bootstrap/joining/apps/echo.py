"""What every application here does: one call of each kind, sync and asyncio, and one that fails. `run` returns what it saw."""

import asyncio
from concurrent import futures

import grpc
import grpc.aio


def keys(context):
    """Return the metadata keys that a handler sees."""
    return sorted({key for key, _ in context.invocation_metadata()})


def unary(request, context):
    return ",".join(keys(context)).encode()


def server_stream(request, context):
    yield request
    yield request


def client_stream(requests, context):
    return b"".join(requests)


def both_stream(requests, context):
    yield from requests


def fail(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "not there")


async def aio_unary(request, context):
    return ",".join(keys(context)).encode()


async def aio_server_stream(request, context):
    yield request
    yield request


async def aio_client_stream(requests, context):
    return b"".join([request async for request in requests])


async def aio_both_stream(requests, context):
    async for request in requests:
        yield request


async def aio_fail(request, context):
    await context.abort(grpc.StatusCode.NOT_FOUND, "not there")


def handlers(unary, server_stream, client_stream, both_stream, fail):
    found = {
        "UU": grpc.unary_unary_rpc_method_handler(unary),
        "US": grpc.unary_stream_rpc_method_handler(server_stream),
        "SU": grpc.stream_unary_rpc_method_handler(client_stream),
        "SS": grpc.stream_stream_rpc_method_handler(both_stream),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    return grpc.method_handlers_generic_handler("test.Echo", found)


def sync():
    pool = futures.ThreadPoolExecutor(4)
    server = grpc.server(pool)
    server.add_generic_rpc_handlers((handlers(unary, server_stream, client_stream, both_stream, fail),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    seen = []
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        seen.append(channel.unary_unary("/test.Echo/UU")(b"", metadata=(("own", "1"),)).decode())
        seen.append([part.decode() for part in channel.unary_stream("/test.Echo/US")(b"a")])
        seen.append(channel.stream_unary("/test.Echo/SU")(iter([b"a", b"b"])).decode())
        seen.append([part.decode() for part in channel.stream_stream("/test.Echo/SS")(iter([b"a", b"b"]))])
        try:
            channel.unary_unary("/test.Echo/Fail")(b"")
        except grpc.RpcError as error:
            seen.append([error.code().name, error.details()])
    server.stop(None).wait()
    pool.shutdown()  # grpc does not wait for threads that have answered, and who looks at their spans has to
    return seen


async def aio():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (handlers(aio_unary, aio_server_stream, aio_client_stream, aio_both_stream, aio_fail),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    seen = []
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        seen.append((await channel.unary_unary("/test.Echo/UU")(b"", metadata=(("own", "1"),))).decode())
        seen.append([part.decode() async for part in channel.unary_stream("/test.Echo/US")(b"a")])
        seen.append((await channel.stream_unary("/test.Echo/SU")(iter([b"a", b"b"]))).decode())
        seen.append([part.decode() async for part in channel.stream_stream("/test.Echo/SS")(iter([b"a", b"b"]))])
        try:
            await channel.unary_unary("/test.Echo/Fail")(b"")
        except grpc.RpcError as error:
            seen.append([error.code().name, error.details()])
    await server.stop(None)
    return seen


def run():
    return [sync(), asyncio.run(aio())]


def first():
    """Make one call, before anything else is switched on."""
    server = grpc.server(futures.ThreadPoolExecutor(1))
    handler = grpc.method_handlers_generic_handler("test.First", {"UU": grpc.unary_unary_rpc_method_handler(unary)})
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        channel.unary_unary("/test.First/UU")(b"")
    server.stop(None).wait()
