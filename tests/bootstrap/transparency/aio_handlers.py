"""asyncio server: handlers of every shape."""

import asyncio
import functools

import grpc
import grpc.aio

from tests.bootstrap.transparency.aio_client import joined
from tests.bootstrap.transparency.aio_server import told
from tests.bootstrap.transparency.bench import (
    Aio,
    aio_attempt,
    aio_bidi,
    aio_echo,
    aio_echoes,
    case,
    echo,
    handler,
    needed,
    pairs,
)


@case
async def aio_handlers_that_are_any_callable():
    class Callable:
        async def __call__(self, request, context):
            return request + b"!"

        async def method(self, request, context):
            return request + b"?"

        @staticmethod
        async def static(request, context):
            return request + b"-"

    def decorated(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            return await function(*args, **kwargs) + b"+"

        return wrapper

    one = Callable()
    return [
        await told("uu", one),
        await told("uu", one.method),
        await told("uu", Callable.static),
        await told("uu", decorated(aio_echo)),
        await told("uu", functools.partial(aio_echo)),
        await told("us", functools.partial(aio_echoes)),
        await told("uu", functools.partial(echo)),
        await told("uu", lambda request, context: request),
    ]


@case
async def aio_plain_functions_in_threads():
    seen = []

    def behavior(request, context):
        context.set_trailing_metadata((("t", "1"),))
        context.send_initial_metadata((("i", "1"),))
        seen.append(
            [
                type(context).__qualname__,
                context.is_active() if hasattr(context, "is_active") else "",
                context.peer()[:4],
            ]
        )
        seen.append([pairs(context.invocation_metadata()), 0 < context.time_remaining() <= 31])
        return request

    def aborting(request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "mine")

    def raising(request, context):
        raise ValueError("mine")

    def plain_bidi(requests, context):
        yield from requests

    seen.append(await told("uu", behavior))
    seen += [await told("uu", aborting), await told("uu", raising)]
    seen.append(await told("ss", plain_bidi))
    seen.append(await told("su", lambda requests, context: b"".join(requests)))
    return seen


@case
async def aio_generic_handlers():
    seen = []

    class Generic(grpc.GenericRpcHandler):
        def service(self, details):
            seen.append([type(details).__qualname__, details.method, pairs(details.invocation_metadata)])
            if details.method.endswith("Raise"):
                raise ValueError("mine")
            return None if details.method.endswith("None") else handler("uu", aio_echo)

    async with Aio("uu", aio_echo) as s:
        s.server.add_generic_rpc_handlers([Generic()])
        make = s.channel.unary_unary
        answers = [await make("/any/Thing")(b"a")]
        answers += [(await aio_attempt(make("/any/" + name)(b"a", timeout=30)))[2:4] for name in ("None", "Raise")]
        return [answers, seen]


@case
async def aio_serializers_of_the_server():
    def bad(_):
        raise ValueError("mine")

    async def upper(text, context):
        return text.upper()

    return [
        await told("uu", upper, bytes.decode, str.encode),
        await told("uu", aio_echo, bad, None),
        await told("uu", aio_echo, None, bad),
        await told("us", aio_echoes, None, bad),
        await told("su", joined, None, None),
    ]


@case
async def aio_exceptions_of_every_kind():
    class MineError(Exception):
        pass

    seen = []
    for error in (ValueError("mine"), MineError(), grpc.RpcError("mine"), TimeoutError(), KeyError("ü")):

        async def behavior(request, context, error=error):
            raise error

        async def stream(request, context, error=error):
            yield request
            raise error

        seen.append([await told("uu", behavior), await told("us", stream)])
    return seen


@case
def aio_under_uvloop():
    uvloop = needed("uvloop")

    async def main():
        seen = [await told("uu", aio_echo), await told("us", aio_echoes), await told("ss", aio_bidi)]
        return [*seen, await told("uu", echo), type(asyncio.get_running_loop()).__module__.split(".")[0]]

    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()
