"""Handlers as coroutines and asynchronous generators: what each ending does in the server of `grpc.aio`."""

import asyncio
from collections import defaultdict
from concurrent import futures

import grpc
import grpc.aio
import sync_server
from shared import LATE, MAKERS, OPTIONS, PATIENCE, UNREAD, WAITING, Handlers, response_of, split

began = defaultdict(asyncio.Event)
waiting = set()
all_over = asyncio.Event()


async def wait_for(ending, kind, in_threads):
    """Return as soon as the handler of that method runs."""
    if in_threads:
        await asyncio.get_running_loop().run_in_executor(None, sync_server.wait_for, ending, kind)
    else:
        await asyncio.wait_for(began[f"{ending}_{kind}"].wait(), PATIENCE)


async def wait_for_all():
    """Return when no handler waits for the end of its call any more."""
    while waiting:
        all_over.clear()
        await all_over.wait()


def set_code(code, details):
    async def act(context):
        context.set_code(code)
        context.set_details(details)

    return act


async def fail(_):
    raise ValueError("oh no")


async def fail_after_code(context):
    context.set_code(grpc.StatusCode.ABORTED)
    raise ValueError("oh no")


async def abort(context):
    await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


async def cancel(_):
    raise asyncio.CancelledError


ACTS = {
    "Abort": abort,
    "AbortLate": abort,
    "SetCode": set_code(grpc.StatusCode.FAILED_PRECONDITION, "not now"),
    "SetCodeOfServer": set_code(grpc.StatusCode.DATA_LOSS, "it was there"),
    "Raise": fail,
    "RaiseLate": fail,
    "RaiseAfterCode": fail_after_code,
    "CancelledByServer": cancel,
}


async def before(ending, kind, requests, context):
    """Do what comes before the response."""
    began[f"{ending}_{kind}"].set()
    if kind[0] == "s" and ending not in UNREAD:
        async for _ in requests:
            pass
    if ending in WAITING:
        waiting.add(f"{ending}_{kind}")
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            waiting.discard(f"{ending}_{kind}")
            all_over.set()
    if ending in ACTS:
        await ACTS[ending](context)


def behavior(ending, kind):
    """Return the handler's function."""

    async def unary(request, context):
        await before(ending, kind, request, context)
        return response_of(ending)

    async def stream(request, context):
        if ending in LATE:
            yield response_of(ending)
        await before(ending, kind, request, context)
        yield response_of(ending)

    async def writer(request, context):
        async for message in stream(request, context):
            await context.write(message)

    if kind[1] == "u":
        return unary
    return writer if kind == "ss" else stream


class Interceptor(grpc.aio.ServerInterceptor):
    """The application's: it lets nobody pass whose method says so."""

    async def intercept_service(self, continuation, details):
        ending, kind = split(details.method)
        if ending == "InterceptorRaises":
            raise ValueError("oh no")
        handler = await continuation(details)
        if ending == "InterceptorAborts":

            async def refuse(_, context):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")

            return MAKERS[kind][0](refuse, handler.request_deserializer, handler.response_serializer)
        return handler


async def serve(in_threads, **options):
    """Return (server, port) of a started server. *in_threads*: its handlers are plain functions."""
    handlers = Handlers(sync_server.behavior if in_threads else behavior)
    pool = futures.ThreadPoolExecutor(64) if in_threads else None
    server = grpc.aio.server(pool, [handlers], [Interceptor()], options=OPTIONS, **options)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port
