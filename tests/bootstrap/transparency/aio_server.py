"""asyncio server: the context's methods, statuses, streams in both styles, stops."""

import asyncio
import contextvars

import grpc
import grpc.aio

from tests.bootstrap.transparency.bench import (
    Aio,
    aio_attempt,
    case,
    failure,
    names,
    pairs,
)


async def told(kind, behavior, *serializers, within=30):
    """Return what a client sees of one call."""
    async with Aio(kind, behavior, serializers) as s:
        call = s.method(b"a" if kind[0] == "u" else iter([b"a", b"b"]), timeout=within)
        if kind[1] == "u":
            answer = await aio_attempt(call)
            return answer[:4] if isinstance(answer, list) else answer
        seen = []
        try:
            async for message in call:
                seen += [message.decode()]
        except grpc.RpcError as error:
            seen.append(failure(error)[:4])
        return seen


@case
async def aio_aborts_in_every_way():
    seen = []
    for arguments in (
        (grpc.StatusCode.NOT_FOUND,),
        (grpc.StatusCode.NOT_FOUND, "ünïcode"),
        (grpc.StatusCode.NOT_FOUND, "mine", (("k", "v"),)),
        (5, "number"),
        (None,),
        (),
    ):

        async def behavior(request, context, arguments=arguments):
            await context.abort(*arguments)

        seen.append(await told("uu", behavior))
    return seen


@case
async def aio_codes_in_every_way():
    seen = []
    for code in (grpc.StatusCode.OK, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.CANCELLED, 5, None):

        async def behavior(request, context, code=code):
            context.set_code(code)
            context.set_details("mine")
            return request

        seen.append(await told("uu", behavior))
    return seen


@case
async def aio_cancelled_error_of_the_handler():
    async def behavior(request, context):
        raise asyncio.CancelledError

    return await told("uu", behavior, within=0.5)


@case
async def aio_abort_and_go_on():
    async def behavior(request, context):
        try:
            await context.abort(grpc.StatusCode.NOT_FOUND, "mine")
        except Exception as error:  # noqa: BLE001 - what applications do
            return type(error).__qualname__.encode()

    async def twice(request, context):
        try:
            await context.abort(grpc.StatusCode.NOT_FOUND, "mine")
        finally:
            await context.abort(grpc.StatusCode.ABORTED, "second")

    return [await told("uu", behavior), await told("uu", twice)]


@case
async def aio_reading_and_writing_the_context():
    async def bidi(requests, context):
        first = await context.read()
        await context.write(first)
        while True:
            request = await context.read()
            if request == grpc.aio.EOF:
                break
            await context.write(request * 2)

    async def stream_unary(requests, context):
        return await context.read() + await context.read()

    async def late(request, context):
        await context.write(request)
        context.set_code(grpc.StatusCode.DATA_LOSS)
        context.set_details("mine")

    return [await told("ss", bidi), await told("su", stream_unary), await told("us", late)]


@case
async def aio_writing_and_yielding():
    async def both(request, context):
        await context.write(request)
        yield request

    return await told("us", both)


@case
async def aio_metadata_of_the_server():
    async def behavior(request, context):
        await context.send_initial_metadata((("i", "1"), ("i", "2"), ("i-bin", b"\x00")))
        context.set_trailing_metadata((("t", "1"), ("t", "2"), ("t-bin", b"\x00")))
        return str(context.trailing_metadata()).encode()

    async def twice(request, context):
        await context.send_initial_metadata(())
        await context.send_initial_metadata(())
        return request

    async with Aio("uu", behavior) as s:
        call = s.method(b"a")
        seen = [await call, pairs(await call.initial_metadata()), pairs(await call.trailing_metadata())]
        types = [type(await call.initial_metadata()).__qualname__, type(await call.trailing_metadata()).__qualname__]
    return [seen, types, await told("uu", twice)]


@case
async def aio_compression_of_the_server():
    async def behavior(request, context):
        context.set_compression(grpc.Compression.Gzip)
        context.disable_next_message_compression()
        return request * 1000

    return len(await told("uu", behavior))


@case
async def aio_handlers_are_cancelled():
    """By the client's cancel and by its deadline; `finally` and `except` run as without us."""
    seen, begun, over = [], asyncio.Event(), asyncio.Event()

    async def behavior(request, context):
        context.add_done_callback(lambda this: seen.append(["callback", this.done()]))
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append(["cancelled", context.cancelled(), context.done()])
            raise
        finally:
            over.set()

    async with Aio("uu", behavior) as s:
        for way in ("deadline", "cancel"):
            call = s.method(b"a", timeout=0.3 if way == "deadline" else 30)
            if way == "cancel":
                await asyncio.wait_for(begun.wait(), 30)
                call.cancel()
            answer = await aio_attempt(call)
            seen.append(answer if isinstance(answer, str) else answer[2])
            await asyncio.wait_for(over.wait(), 30)
            begun.clear()
            over.clear()
    return sorted(map(str, seen))


@case
async def aio_stops_of_every_kind():
    seen = []
    for grace in (0.2, 30):
        begun = asyncio.Event()

        async def behavior(request, context, begun=begun, grace=grace):
            begun.set()
            await asyncio.sleep(0.1 if grace == 30 else 30)
            return request

        async with Aio("uu", behavior) as s:
            call = s.method(b"a")
            await begun.wait()
            seen.append([*[await s.server.stop(grace), await aio_attempt(call)][:1], str(await call.code())])
            seen.append((await aio_attempt(s.method(b"a", timeout=30)))[2])
    return seen


@case
async def aio_too_many_calls():
    begun, over = asyncio.Event(), asyncio.Event()

    async def behavior(request, context):
        begun.set()
        await over.wait()
        return request

    async with Aio("uu", behavior, maximum_concurrent_rpcs=1) as s:
        first = s.method(b"a")
        await begun.wait()
        refused = await aio_attempt(s.method(b"b", timeout=3))
        over.set()
        return [refused[2:4], (await first).decode()]


@case
async def aio_servers_that_are_made_wrongly():
    seen = []
    for make in (
        lambda: grpc.aio.server(5),
        lambda: grpc.aio.server(None, 5),
        lambda: grpc.aio.server(nonsense=1),
        lambda: grpc.aio.server(interceptors=(5,)),
        lambda: grpc.aio.server(options=5),
        grpc.aio.server,
    ):
        try:
            made = make()
            seen.append([type(made).__qualname__, names(made)])
        except Exception as error:  # noqa: BLE001 - as in attempt
            seen.append(failure(error))
    return seen


@case
async def aio_context_variables():
    """A variable set before the server starts, and one that a handler sets: neither leaks into the next call."""
    mine = contextvars.ContextVar("mine", default="default")
    mine.set("outside")

    async def behavior(request, context):
        before = mine.get()
        mine.set("inside")
        return before.encode()

    async with Aio("uu", behavior) as s:
        return [(await s.method(b"a")).decode(), (await s.method(b"b")).decode(), mine.get()]


@case
async def aio_status_is_read_back():
    seen = []

    async def behavior(request, context):
        context.set_code(grpc.StatusCode.ABORTED)
        context.set_details("mine")
        seen.append([str(context.code()), context.details(), context.cancelled(), context.done(), names(context)])
        seen.append([sorted(context.auth_context()), context.peer_identities(), context.peer_identity_key()])
        return request

    return [await told("uu", behavior), seen]
