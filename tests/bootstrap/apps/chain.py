"""One link of a chain of services: `chain.py serve sync|aio [PORT OF THE NEXT]` prints its port; `chain.py call PORT NUMBER` makes calls that all fail.

The last service refuses each call, with the traceparent that it got as the details; those in between hand code and details on as they came.
"""

import asyncio
import sys
from concurrent import futures

import grpc
import grpc.aio

METHOD = "/shop.Stock/Reserve"


def header(context):
    return dict(context.invocation_metadata())["traceparent"]


def serve_sync(following):
    channel = grpc.insecure_channel(f"127.0.0.1:{following}").unary_unary(METHOD) if following else None

    def reserve(request, context):
        if channel is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, header(context))
        try:
            return channel(request)
        except grpc.RpcError as error:
            context.abort(error.code(), f"{error.details()} {header(context)}")

    server = grpc.server(futures.ThreadPoolExecutor(8))
    handler = grpc.unary_unary_rpc_method_handler(reserve)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Stock", {"Reserve": handler}),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None).wait()


async def serve_aio(following):
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{following}").unary_unary(METHOD)

    async def reserve(request, context):
        try:
            return await channel(request)
        except grpc.RpcError as error:
            await context.abort(error.code(), f"{error.details()} {header(context)}")

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(reserve)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Stock", {"Reserve": handler}),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(None)


def call(port, number):
    reserve = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary(METHOD)

    def one(_):
        try:
            reserve(b"item", timeout=60)
        except grpc.RpcError as error:
            return error.code()

    with futures.ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(one, range(number)))
    print(codes.count(grpc.StatusCode.UNAVAILABLE))


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "call":
        call(*map(int, rest))
    elif rest[0] == "sync":
        serve_sync(int(rest[1]) if rest[1:] else 0)
    else:
        asyncio.run(serve_aio(int(rest[1])))
