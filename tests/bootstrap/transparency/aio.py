"""asyncio, both sides."""

import asyncio
import json
import logging
import threading

import grpc
import grpc.aio
import grpc.experimental

from tests.bootstrap.transparency.bench import (
    Aio,
    aio_attempt,
    aio_bidi,
    aio_echo,
    aio_echoes,
    case,
    echo,
    failure,
    frames,
    handler,
    handlers,
    names,
    pairs,
)


@case
async def aio_unary():
    async with Aio("uu", aio_echo) as s:
        call = s.method(b"a", timeout=5, metadata=(("k", "v"),))
        callbacks = []
        call.add_done_callback(lambda this: callbacks.append(this is call))
        response = (await call).decode()
        return [
            response,
            type(call).__qualname__,
            names(call),
            str(await call.code()),
            await call.details(),
            pairs(await call.trailing_metadata()),
            call.done(),
            call.cancelled(),
            callbacks,
            repr(call).split(" ")[0],
        ]


@case
async def aio_unary_error():
    async def behavior(request, context):
        await context.abort(grpc.StatusCode.NOT_FOUND, "nö", (("k", "v"),))

    async with Aio("uu", behavior) as s:
        return await aio_attempt(s.method(b"a"))


@case
async def aio_deadline_and_cancel():
    async def behavior(request, context):
        await asyncio.sleep(5)

    async with Aio("uu", behavior) as s:
        late = await aio_attempt(s.method(b"a", timeout=0.1))
        call = s.method(b"a")
        await asyncio.sleep(0.05)
        seen = [call.cancel(), call.cancelled(), call.done(), await aio_attempt(call), str(await call.code())]
        try:
            await asyncio.wait_for(s.method(b"a"), 0.05)
        except Exception as error:  # noqa: BLE001 - asyncio's own or Python's TimeoutError
            seen.append(type(error).__qualname__)
        return [late, seen]


@case
async def aio_metadata():
    seen = []

    async def behavior(request, context):
        seen.append(pairs(context.invocation_metadata()))
        return request

    given = (("b", "1"), ("a", "2"), ("b", "3"), ("x-bin", b"\x00\xff"))
    async with Aio("uu", behavior) as s:
        for metadata in (given, list(given), grpc.aio.Metadata(*given), None, (), iter(given)):
            answer = await aio_attempt(s.method(b"a", metadata=metadata))
            seen.append(answer == b"a")
        for bad in (5, [("a",)], [("a", 1)], "text"):
            try:
                seen.append((await aio_attempt(s.method(b"a", metadata=bad)))[:2])
            except Exception as error:  # noqa: BLE001 - as in attempt
                seen.append(failure(error))
        return seen


@case
async def aio_streams():
    async with Aio("ss", aio_bidi) as s:
        call = s.method()
        await call.write(b"a")
        first = (await call.read()).decode()
        await call.write(b"b")
        await call.done_writing()
        rest = [m.decode() async for m in call] if False else [(await call.read()).decode()]
        end = await call.read()
        seen = [first, rest, repr(end), type(call).__qualname__, names(call), str(await call.code())]
        iterated = [m.decode() async for m in s.method(iter([b"x", b"y"]))]

        async def requests():
            yield b"1"
            yield b"2"

        return [seen, iterated, [m.decode() async for m in s.method(requests())]]


@case
async def aio_stream_unary_with_write():
    async def behavior(requests, context):
        return b"".join([m async for m in requests])

    async with Aio("su", behavior) as s:
        call = s.method()
        await call.write(b"a")
        await call.write(b"b")
        await call.done_writing()
        return [(await call).decode(), type(call).__qualname__]


@case
async def aio_handlers_of_every_style():
    async def writer(request, context):
        await context.write(request)
        await context.write(request)

    def sync_stream(request, context):
        yield request
        yield request

    seen = []
    for kind, behavior in (
        ("uu", aio_echo),
        ("uu", echo),
        ("us", aio_echoes),
        ("us", writer),
        ("us", sync_stream),
        ("us", lambda request, context: [request]),
    ):
        async with Aio(kind, behavior) as s:
            if kind == "uu":
                seen.append((await s.method(b"a")).decode())
            else:
                seen.append([m.decode() async for m in s.method(b"a")])
    return seen


@case
async def aio_wrong_handlers():
    def nothing(request, context):
        return None

    async def async_nothing(request, context):
        return None

    async def takes_one(request):
        return request

    seen = []
    for kind, behavior in (
        ("uu", aio_echoes),
        ("us", nothing),
        ("us", aio_echo),
        ("uu", async_nothing),
        ("uu", takes_one),
        ("us", echo),
        ("ss", echo),
    ):
        async with Aio(kind, behavior) as s:
            call = s.method(b"a" if kind[0] == "u" else iter([b"a"]), timeout=5)
            if kind[1] == "u":
                seen.append(await aio_attempt(call))
            else:
                try:
                    seen.append([m.decode() async for m in call])
                except grpc.RpcError as error:
                    seen.append(failure(error))
    # With which name of a function a TypeError begins depends on who calls it: Python 3.10 with an old Cython, see docs/compatibility.md.
    return json.loads(json.dumps(seen, default=repr).replace("aio_wrong_handlers.<locals>.", ""))


@case
async def aio_server_logs():
    async def behavior(request, context):
        raise ValueError("mine")

    async def stream(request, context):
        yield request
        raise ValueError("mine")

    def sync(request, context):
        raise ValueError("mine")

    lines = []
    keep = logging.Handler()
    keep.emit = lambda record: lines.append(
        [
            record.getMessage(),
            frames(record.exc_info[2]) if record.exc_info else None,
        ]
    )
    logging.getLogger().addHandler(keep)
    for kind, one in (("uu", behavior), ("us", stream), ("uu", sync)):
        async with Aio(kind, one) as s:
            call = s.method(b"a")
            await aio_attempt(call if kind == "uu" else call.read())
            await call.code()
    return lines


@case
async def aio_servicer_context():
    seen, over = [], asyncio.Event()

    async def behavior(request, context):
        context.set_trailing_metadata((("t", "1"), ("t-bin", b"\x00")))
        await context.send_initial_metadata((("i", "1"),))
        context.set_code(grpc.StatusCode.OK)
        context.add_done_callback(
            lambda this: (seen.append(["done", this is context, this.done(), this.cancelled()]), over.set())
        )
        seen.append(
            [
                type(context).__qualname__,
                names(context),
                0 < context.time_remaining() <= 5,
                pairs(context.invocation_metadata()),
                str(context.code()),
                context.details(),
            ]
        )
        return request

    def sync(request, context):
        seen.append([type(context).__qualname__, names(context), threading.current_thread() is threading.main_thread()])
        context.set_code(grpc.StatusCode.DATA_LOSS)
        return request

    async with Aio("uu", behavior) as s:
        call = s.method(b"a", timeout=5)
        await call
        await over.wait()
        seen += [pairs(await call.initial_metadata()), pairs(await call.trailing_metadata())]
    async with Aio("uu", sync) as s:
        seen.append(await aio_attempt(s.method(b"a")))
    return seen


@case
async def aio_interceptors():
    log = []

    class Client(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            log.append(
                [type(details).__qualname__, pairs(details.metadata), list(details.metadata or ()), str(details.method)]
            )
            call = await continuation(details, request)
            log.append([type(call).__qualname__])
            return call

    class Server(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation, details):
            found = await continuation(details)
            log.append(
                [type(details).__qualname__, details.method, type(found).__qualname__, found.unary_unary is aio_echo]
            )
            return found

    for mine in ([Server()], (Server(), Server()), None, ()):
        server = grpc.aio.server(None, None, mine)
        server.add_generic_rpc_handlers((handlers(M=handler("uu", aio_echo)),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"localhost:{port}", None, None, [Client()]) as channel:
            call = channel.unary_unary("/t.S/M")(b"a", metadata=(("k", "v"),))
            log.append([(await call).decode(), type(call).__qualname__])
        await server.stop(None)
    try:
        grpc.aio.server(interceptors=[5])
    except ValueError as error:
        log.append(type(error).__qualname__)
    return log


@case
async def aio_unknown_method():
    async with Aio("uu", aio_echo) as s:
        return await aio_attempt(s.channel.unary_unary("/t.S/Missing")(b"a"))


@case
async def aio_abandoned_generator_is_closed():
    seen = []

    async def behavior(request, context):
        try:
            while True:
                yield request
                await asyncio.sleep(0.01)
        finally:
            seen.append("closed")

    async with Aio("us", behavior) as s:
        call = s.method(b"a")
        await call.read()
        call.cancel()
        await asyncio.sleep(0.2)
    return seen


@case
async def aio_tasks_and_their_names():
    seen = []

    async def behavior(request, context):
        seen.append([asyncio.current_task().get_coro().__qualname__, len(asyncio.all_tasks())])
        return request

    async with Aio("uu", behavior) as s:
        await s.method(b"a")
    return seen
