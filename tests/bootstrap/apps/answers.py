"""Calls of all four kinds, answered with metadata, well and badly; prints what the caller gets. `answers.py sync|aio`."""

import asyncio
import sys
from concurrent import futures

import grpc
import grpc.aio

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
INITIAL = (("x-cost", "1"), ("x-other", "o"))
TRAILING = (("x-cost", "2"), ("x-shard", "a"), ("x-shard", "b"), ("authorization", "secret"), ("x-bin", b"\x00"))


def pairs(metadata):
    return sorted((key, value) for key, value in metadata or () if key in dict((*INITIAL, *TRAILING)))


def unary(request, context):
    context.send_initial_metadata(INITIAL)
    context.set_trailing_metadata(TRAILING)
    if request == b"bad":
        context.abort(grpc.StatusCode.NOT_FOUND, "no")
    return b"answer"


def stream(request, context):
    yield unary(request, context)


async def aio_unary(request, context):
    await context.send_initial_metadata(INITIAL)
    context.set_trailing_metadata(TRAILING)
    if request == b"bad":
        await context.abort(grpc.StatusCode.NOT_FOUND, "no")
    return b"answer"


async def aio_stream(request, context):
    yield await aio_unary(request, context)


async def aio_stream_unary(requests, context):
    return await aio_unary(await anext(requests), context)


async def aio_stream_stream(requests, context):
    yield await aio_unary(await anext(requests), context)


SYNC = {
    "unary_unary": unary,
    "unary_stream": stream,
    "stream_unary": lambda requests, context: unary(next(requests), context),
    "stream_stream": lambda requests, context: stream(next(requests), context),
}
AIO = dict(zip(KINDS, (aio_unary, aio_stream, aio_stream_unary, aio_stream_stream), strict=True))


def handlers(behaviors):
    made = {kind: getattr(grpc, kind + "_rpc_method_handler")(behaviors[kind]) for kind in KINDS}
    return grpc.method_handlers_generic_handler("test.Answers", made)


def told(kind, how, call, result):
    print(
        kind, how, result, call.code(), call.details(), pairs(call.initial_metadata()), pairs(call.trailing_metadata())
    )


def sync():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((handlers(SYNC),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for kind in KINDS:
            for word in (b"good", b"bad"):
                method = getattr(channel, kind)(f"/test.Answers/{kind}")
                given = iter([word]) if kind.startswith("stream") else word
                try:
                    if kind.endswith("stream"):
                        call = method(given)
                        told(kind, "stream", call, list(call))
                    else:
                        print(kind, "call", method(given))
                        given = iter([word]) if kind.startswith("stream") else word
                        result, call = method.with_call(given)
                        told(kind, "with_call", call, result)
                        given = iter([word]) if kind.startswith("stream") else word
                        call = method.future(given)
                        told(kind, "future", call, call.result())
                except grpc.RpcError as error:
                    told(kind, isinstance(error, grpc.Call), error, None)
    server.stop(None).wait()


async def aio():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(AIO),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for kind in KINDS:
            for word in (b"good", b"bad"):
                call = getattr(channel, kind)(f"/test.Answers/{kind}")(
                    iter([word]) if kind.startswith("stream") else word
                )
                try:
                    result = [message async for message in call] if kind.endswith("stream") else await call
                except grpc.RpcError as error:
                    result = type(error).__name__
                initial, trailing = await call.initial_metadata(), await call.trailing_metadata()
                print(kind, result, await call.code(), await call.details(), pairs(initial), pairs(trailing))
    await server.stop(None)


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        sync()
    else:
        asyncio.run(aio())
