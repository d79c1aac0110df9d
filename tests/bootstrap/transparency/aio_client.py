"""asyncio client: call objects, cancellation, streams in both styles, interceptors of the application's own."""

import asyncio
import gc

import grpc
import grpc.aio

from tests.bootstrap.transparency.bench import (
    Aio,
    aio_bidi,
    aio_echo,
    aio_echoes,
    case,
    failure,
    names,
    pairs,
)

PATIENT = 30


async def joined(requests, context):
    return b"".join([m async for m in requests])


async def tried(make):
    """Return what *make*, which may raise at once, gives when it is awaited."""
    try:
        return await make()
    except asyncio.CancelledError as error:
        return type(error).__qualname__
    except Exception as error:  # noqa: BLE001 - as in attempt
        return failure(error)


@case
async def aio_call_objects_of_every_kind():
    seen = []
    for kind, behavior in (("uu", aio_echo), ("us", aio_echoes), ("su", joined), ("ss", aio_bidi)):
        async with Aio(kind, behavior) as s:
            call = s.method(b"a" if kind[0] == "u" else iter([b"a"]), timeout=PATIENT)
            kinds = (grpc.aio.Call, grpc.aio.RpcContext, grpc.RpcError, asyncio.Future, grpc.Call)
            seen.append([type(call).__qualname__, names(call), [isinstance(call, one) for one in kinds]])
            seen.append(
                [hasattr(call, "__await__"), hasattr(call, "__aiter__"), 0 < call.time_remaining() <= PATIENT + 1]
            )
            seen.append((await call).decode() if kind[1] == "u" else [m.decode() async for m in call])
            seen.append([call.done(), call.cancelled(), str(await call.code()), await call.details(), call.cancel()])
            seen.append([pairs(await call.initial_metadata()), pairs(await call.trailing_metadata())])
    return seen


@case
async def aio_awaited_twice():
    async with Aio("uu", aio_echo) as s:
        call = s.method(b"a")
        both = await asyncio.gather(call, call)
        return [[m.decode() for m in both], (await call).decode()]


@case
async def aio_calls_begin_at_once():
    """A call that nobody awaits yet is under way."""
    begun = asyncio.Event()

    async def behavior(request, context):
        begun.set()
        return request

    async with Aio("uu", behavior) as s:
        call = s.method(b"a")
        await asyncio.wait_for(begun.wait(), PATIENT)
        return (await call).decode()


@case
async def aio_callbacks_of_calls():
    seen, over = [], asyncio.Event()

    async with Aio("uu", aio_echo) as s:
        call = s.method(b"a")
        call.add_done_callback(lambda this: seen.append(["first", this is call, this.done()]))
        call.add_done_callback(lambda this: (seen.append("second"), over.set()))
        await call
        await over.wait()
        seen.append(call.add_done_callback(lambda this: seen.append("late")))
        return seen


@case
async def aio_stream_callbacks_and_early_end():
    seen, over = [], asyncio.Event()
    async with Aio("us", aio_echoes) as s:
        call = s.method(b"a")
        call.add_done_callback(lambda this: (seen.append([this is call, this.cancelled()]), over.set()))
        async for message in call:
            seen.append(message.decode())
            break
        seen.append(call.cancel())
        await over.wait()
        return [seen, str(await call.code())]


@case
async def aio_errors_in_full():
    async def behavior(request, context):
        await context.send_initial_metadata((("i", "1"),))
        await context.abort(grpc.StatusCode.ABORTED, "mine", (("t", "1"), ("t", "2")))

    async with Aio("uu", behavior) as s:
        try:
            await s.method(b"a")
        except grpc.aio.AioRpcError as error:
            text = [line.strip() for line in repr(error).splitlines() if "debug" not in line]
            both = [pairs(error.initial_metadata()), pairs(error.trailing_metadata())]
            return [text, both, failure(error), error.__cause__, error.__suppress_context__]


@case
async def aio_stream_errors():
    async def behavior(request, context):
        yield request
        await context.abort(grpc.StatusCode.ABORTED, "mine")

    async with Aio("us", behavior) as s:
        call = s.method(b"a")
        seen = [(await call.read()).decode(), await tried(call.read), await tried(call.read)]
        other = s.method(b"a")
        try:
            async for message in other:
                seen += [message.decode()]
        except grpc.RpcError as error:
            seen.append(failure(error)[:4])
        return [seen, str(await call.code())]


@case
async def aio_reading_in_both_styles():
    async with Aio("us", aio_echoes) as s:
        call = s.method(b"a")
        first = (await call.read()).decode()
        try:
            async for message in call:
                first += message.decode()
        except grpc.aio.UsageError as error:
            first = [first, str(error)]
        call.cancel()
        return first


@case
async def aio_writing_in_both_styles():
    async with Aio("ss", aio_bidi) as s:
        call = s.method(iter([b"a"]))
        return [await tried(lambda: call.write(b"b")), await tried(call.done_writing), [m.decode() async for m in call]]


@case
async def aio_writing_after_the_end():
    async with Aio("ss", aio_bidi) as s:
        call = s.method()
        await call.write(b"a")
        await call.done_writing()
        seen = [(await call.read()).decode(), repr(await call.read()), str(await call.code())]
        return [seen, await tried(lambda: call.write(b"b")), await call.done_writing()]


@case
async def aio_wait_for_connection():
    async with Aio("ss", aio_bidi) as s:
        call = s.method()
        seen = [await call.wait_for_connection()]
        await call.done_writing()
        unary = Aio("uu", aio_echo)
        async with unary:
            other = unary.method(b"a")
            seen += [await other.wait_for_connection(), (await other).decode()]
        return [*seen, repr(await call.read())]


@case
async def aio_request_iterators_of_every_kind():
    async def generator():
        yield b"a"

    class Iterable:
        def __iter__(self):
            return iter([b"a"])

    class AsyncIterable:
        def __aiter__(self):
            return generator()

    async def bad():
        yield b"a"
        raise ValueError("mine")

    seen = []
    async with Aio("su", joined) as s:
        for one in (generator(), iter([b"a"]), [b"a"], Iterable(), AsyncIterable(), (b"a",)):
            seen += [await tried(lambda one=one: s.method(one, timeout=PATIENT))]
        seen.append((await tried(lambda: s.method(bad(), timeout=PATIENT)))[:3])
        seen.append(await tried(lambda: s.method(5)))
    return [str(one).split(" object at")[0] for one in seen]


@case
async def aio_cancelled_task():
    begun, gone = asyncio.Event(), asyncio.Event()

    async def behavior(request, context):
        begun.set()
        try:
            await asyncio.sleep(PATIENT)
        finally:
            gone.set()

    async with Aio("uu", behavior) as s:
        task = asyncio.ensure_future(tried(lambda: s.method(b"a")))
        await begun.wait()
        task.cancel()
        return [await task, await asyncio.wait_for(gone.wait(), PATIENT)]


@case
async def aio_cancel_in_every_kind():
    async def waits(first, context):
        await asyncio.sleep(PATIENT)

    async def stream(first, context):
        yield b"a"
        await asyncio.sleep(PATIENT)

    seen = []
    for kind, behavior in (("uu", waits), ("us", stream), ("su", waits), ("ss", stream)):
        async with Aio(kind, behavior) as s:
            call = s.method(b"a") if kind[0] == "u" else s.method()
            if kind[1] == "s":
                seen.append((await call.read()).decode())
            seen.append([call.cancel(), call.cancel(), call.done(), call.cancelled()])
            seen.append([await tried(lambda call=call, kind=kind: call if kind[1] == "u" else call.read())])
            seen.append([str(await call.code()), await call.details()])
    return seen


@case
async def aio_gathered_and_shielded():
    async with Aio("uu", aio_echo) as s:
        first = await asyncio.gather(*(s.method(b"%d" % number) for number in range(20)))
        second = await asyncio.wait_for(s.method(b"a"), PATIENT)
        return [[m.decode() for m in first], second.decode()]


@case
async def aio_dropped_calls():
    async with Aio("uu", aio_echo) as s:
        s.method(b"a")
        await s.method(b"b")
        gc.collect()
        return (await s.method(b"c")).decode()


@case
async def aio_wrong_arguments():
    async with Aio("uu", aio_echo) as s:
        return [
            await tried(s.method),
            await tried(lambda: s.method(b"a", nonsense=1)),
            await tried(lambda: s.method(b"a", 5)),
            await tried(lambda: s.method("text")),
            await tried(lambda: s.method(b"a", timeout="x")),
            (await tried(lambda: s.method(b"a", timeout=-1)))[:4],
        ]


@case
async def aio_serializers_of_the_client():
    def bad(_):
        raise ValueError("mine")

    async with Aio("uu", aio_echo) as s:
        make = s.channel.unary_unary
        return [
            await tried(lambda: make("/t.S/M", str.encode, bytes.decode)("a")),
            (await tried(lambda: make("/t.S/M", request_serializer=bad)(b"a")))[:3],
            await tried(lambda: make("/t.S/M", response_deserializer=bad)(b"a")),
        ]


@case
async def aio_channels():
    async with Aio("uu", aio_echo) as s:
        state = str(s.channel.get_state(try_to_connect=True))
        await s.channel.channel_ready()
        seen = [state, str(s.channel.get_state()), names(s.channel), type(s.method).__qualname__]
        closed = grpc.aio.insecure_channel(f"localhost:{s.port}")
        method = closed.unary_unary("/t.S/M")
        await closed.close()
        await closed.close()
        return [seen, (await tried(lambda: method(b"a")))[:3]]


@case
async def aio_channel_closed_under_a_call():
    begun = asyncio.Event()

    async def behavior(request, context):
        begun.set()
        await asyncio.sleep(PATIENT)

    async with Aio("uu", behavior) as s:
        call = s.method(b"a")
        await begun.wait()
        await s.channel.close()
        return [await tried(lambda: call), call.cancelled(), str(await call.code())]


@case
async def aio_targets():
    seen = []
    async with Aio("uu", aio_echo) as s:
        forms = ("dns:///localhost:%d", "ipv4:127.0.0.1:%d", "127.0.0.1:%d", "ipv4:127.0.0.1:1,127.0.0.1:%d")
        for target in [form % s.port for form in forms] + ["nonsense://x", "", "unix:/nowhere.sock", "localhost:1"]:
            async with grpc.aio.insecure_channel(target) as channel:
                answer = await tried(lambda channel=channel: channel.unary_unary("/t.S/M")(b"a", timeout=PATIENT))
                seen.append(answer if isinstance(answer, bytes) else answer[:1])
        for target in (None, 5):
            try:
                seen.append(type(grpc.aio.insecure_channel(target)).__qualname__)
            except Exception as error:  # noqa: BLE001 - as in attempt
                seen.append(failure(error))
    return seen


@case
async def aio_odd_method_names():
    async with Aio("uu", aio_echo) as s:
        return [
            (await tried(lambda name=name: s.channel.unary_unary(name)(b"a", timeout=PATIENT)))[2:4]
            for name in ("/x", "x", "", "/a/b/c", "//", "/a/", b"/t.S/Bytes")
        ]
