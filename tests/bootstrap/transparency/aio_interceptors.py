"""Interceptors of the application's own under asyncio, on both sides."""

import asyncio

import grpc
import grpc.aio

from tests.bootstrap.transparency.aio_client import joined, tried
from tests.bootstrap.transparency.bench import (
    Aio,
    aio_attempt,
    aio_bidi,
    aio_echo,
    aio_echoes,
    attempt,
    case,
    failure,
    handler,
    names,
    pairs,
)


class UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, log):
        self.log = log

    async def note(self, continuation, details, request):
        self.log.append([type(details).__qualname__, str(details.method), pairs(details.metadata), details.timeout])
        self.log.append([isinstance(details.metadata, grpc.aio.Metadata), details.wait_for_ready])
        call = await continuation(details, request)
        self.log.append([type(call).__qualname__, names(call)])
        return call

    async def intercept_unary_unary(self, continuation, details, request):
        return await self.note(continuation, details, request)


class UnaryStream(UnaryUnary, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation, details, request):
        return await self.note(continuation, details, request)


class StreamUnary(UnaryUnary, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation, details, requests):
        return await self.note(continuation, details, requests)


class StreamStream(UnaryUnary, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation, details, requests):
        return await self.note(continuation, details, requests)


@case
async def aio_interceptors_of_all_four_kinds():
    seen = []
    for kind, behavior, made in (
        ("uu", aio_echo, UnaryUnary),
        ("us", aio_echoes, UnaryStream),
        ("su", joined, StreamUnary),
        ("ss", aio_bidi, StreamStream),
    ):
        log = []
        async with Aio(kind, behavior, interceptors=[made(log)]) as s:
            call = s.method(b"a" if kind[0] == "u" else iter([b"a"]), metadata=(("k", "v"),), timeout=30)
            log.append([type(call).__qualname__, names(call)])
            answer = (await call).decode() if kind[1] == "u" else [m.decode() async for m in call]
            seen.append([answer, str(await call.code()), pairs(await call.trailing_metadata()), log])
    return seen


@case
async def aio_interceptor_that_changes_details():
    seen = []

    async def spy(request, context):
        seen.append(pairs(context.invocation_metadata()))
        return request

    class Changing(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            metadata = grpc.aio.Metadata(*(details.metadata or ()))
            metadata.add("added", "1")
            metadata.add("added", "2")
            return await continuation(details._replace(metadata=metadata, timeout=30), request)

    async with Aio("uu", spy, interceptors=[Changing(), Changing()]) as s:
        return [await s.method(b"a"), await s.method(b"b", metadata=(("k", "v"),)), seen]


@case
async def aio_interceptor_that_answers_or_raises():
    class Answering(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            if request == b"raise":
                raise KeyError("mine")
            if request == b"await":
                return await (await continuation(details, request))
            return b"mine"

    async with Aio("uu", aio_echo, interceptors=(Answering(),)) as s:
        seen = []
        for request in (b"raise", b"await", b"answer"):
            call = s.method(request)
            answer = await tried(lambda call=call: call)
            done = attempt(call.done)  # old grpc raises what its interceptor did
            seen.append([answer, type(call).__qualname__, done])
        return seen


@case
async def aio_interceptor_that_retries():
    tries = []

    async def behavior(request, context):
        tries.append(pairs(context.invocation_metadata()))
        if len(tries) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "again")
        return request

    class Retrying(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            for _ in range(4):
                call = await continuation(details, request)
                if await call.code() is not grpc.StatusCode.UNAVAILABLE:
                    break
            return call

    async with Aio("uu", behavior, interceptors=[Retrying()]) as s:
        return [(await s.method(b"a", metadata=(("k", "v"),))).decode(), tries]


@case
async def aio_intercepted_call_cancelled():
    begun = asyncio.Event()

    async def behavior(request, context):
        begun.set()
        await asyncio.sleep(30)

    async with Aio("uu", behavior, interceptors=[UnaryUnary([])]) as s:
        call = s.method(b"a")
        await begun.wait()
        return [call.cancel(), await tried(lambda: call), call.cancelled(), call.done(), str(await call.code())]


@case
async def aio_channel_interceptors_that_are_refused():
    seen = []
    for given in ([5], (), None, [UnaryUnary([])], iter([UnaryUnary([])])):
        try:
            seen.append(type(grpc.aio.insecure_channel("localhost:1", interceptors=given)).__qualname__)
        except Exception as error:  # noqa: BLE001 - as in attempt
            seen.append(str(failure(error)).split(" object at")[0])
    return seen


def wrapping(change):
    class Wrapping(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation, details):
            return await change(continuation, details)

    return Wrapping()


@case
async def aio_server_interceptors_that_wrap():
    order = []

    def outer(name):
        async def change(continuation, details):
            found = await continuation(details)

            async def behavior(request, context):
                order.append(name)
                return await found.unary_unary(request + name.encode(), context)

            return grpc.unary_unary_rpc_method_handler(behavior, found.request_deserializer, found.response_serializer)

        return wrapping(change)

    server = Aio("uu", aio_echo)
    server.server = grpc.aio.server(interceptors=(outer("1"), outer("2")))
    server.server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("t.S", {"M": handler("uu", aio_echo)}),)
    )
    port = server.server.add_insecure_port("localhost:0")
    server.channel = grpc.aio.insecure_channel(f"localhost:{port}")
    async with server as s:
        return [(await s.method(b"a")).decode(), order]


@case
async def aio_server_interceptors_that_refuse():
    async def abort(request, context):
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "mine")

    async def none(continuation, details):
        return None

    async def raising(continuation, details):
        raise ValueError("mine")

    async def other(continuation, details):
        return handler("uu", abort)

    seen = []
    for change in (none, raising, other):
        server = grpc.aio.server(interceptors=[wrapping(change)])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.S", {"M": handler("uu", aio_echo)}),))
        port = server.add_insecure_port("localhost:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
            seen.append((await aio_attempt(channel.unary_unary("/t.S/M")(b"a", timeout=30)))[2:4])
        await server.stop(1)
    return seen


@case
async def aio_server_interceptors_see_the_handler():
    """Its fields, its behavior, and what they may be replaced by."""
    seen = []

    async def look(continuation, details):
        found = await continuation(details)
        seen.append([type(details).__qualname__, details.method, pairs(details.invocation_metadata)])
        if found is not None:
            fields = ("request_streaming", "response_streaming", "request_deserializer", "response_serializer")
            seen.append([getattr(found, name) for name in fields])
            seen.append([getattr(found, name) is not None for name in ("unary_unary", "unary_stream", "stream_unary")])
            seen.append(
                [found.unary_unary is aio_echo, asyncio.iscoroutinefunction(found.unary_unary), next(iter(found))]
            )
        return found

    server = grpc.aio.server(interceptors=[wrapping(look)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.S", {"M": handler("uu", aio_echo)}),))
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        await channel.unary_unary("/t.S/M")(b"a", metadata=(("k", "v"),))
        await aio_attempt(channel.unary_unary("/t.S/Missing")(b"a"))
    await server.stop(1)
    return seen
