"""The hooks alone, in one thread, with grpc's own work replaced by next to nothing: `hotloop.py` prints µs per call for each side; `hotloop.py SIDE` profiles one.

Each hook is grpc's function with ours around it; where the hook would call grpc's (its closure's `original`) it calls a stand-in here, which does what
grpc does to what the hook can see. A real call costs two to five times as much, because everything between two calls is cold then.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import statistics
import sys
import time
from concurrent import futures
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from control import flush

if TYPE_CHECKING:
    from collections.abc import Callable

METHOD = b"/bench.Echo/Call"
REQUEST = b"x" * 200
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%s"
REPEATS, CALLS = 15, 1500


def in_place(hooked: Callable[..., Any], stand_in: Callable[..., Any]) -> Callable[..., Any]:
    """Return *hooked* with *stand_in* where it calls grpc's own function; *stand_in* itself where nothing is hooked."""
    cells = dict(zip(hooked.__code__.co_freevars, hooked.__closure__ or (), strict=True))
    if "original" not in cells:
        return stand_in
    cells["original"].cell_contents = stand_in
    return hooked


def sync_client(_flags: str) -> Callable[[], object]:
    """Return one blocking call."""
    method = grpc.insecure_channel("127.0.0.1:1").unary_unary("/bench.Echo/Call")

    def blocking(this: Any, request: bytes, *_: object, **__: object) -> bytes:
        (this._request_serializer or bytes)(request)
        return (this._response_deserializer or bytes)(request)

    call = in_place(type(method).__call__, blocking)
    return lambda: call(method, REQUEST)


def sync_server(flags: str) -> Callable[[], object]:
    """Return one call from acceptance to its status."""
    grpc.server(futures.ThreadPoolExecutor(1))
    module = sys.modules["grpc._server"]
    metadata = tuple(map(_Pair, (("user-agent", "grpc"), ("traceparent", TRACEPARENT % flags))))
    details = SimpleNamespace(method=METHOD, host=b"", deadline=None)
    event = SimpleNamespace(
        call_details=details,
        invocation_metadata=metadata,
        tag=None,
        call=SimpleNamespace(peer=lambda: b"ipv4:127.0.0.1:4711"),
    )
    message = SimpleNamespace(batch_operations=[SimpleNamespace(message=lambda: REQUEST)])

    def status(_event: Any, state: Any, _response: bytes) -> None:
        state.statused = True

    receive = in_place(module._receive_message, lambda _state, _call, _deserializer: lambda _event: None)
    send_status = in_place(module._status, status)

    def pool(_event: Any, state: Any, *_: object) -> None:
        send_status(event, state, REQUEST)

    in_pool = in_place(module._unary_response_in_pool, pool)

    def handle(_event: Any, state: Any, _handler: object, _pool: object) -> None:
        receive(state, None, None)(message)
        in_pool(event, state, None, None, None, None)

    accept = in_place(module._handle_unary_unary, handle)

    def call() -> None:
        state = module._RPCState()
        accept(event, state, None, None)
        for callback in state.callbacks:
            callback()

    return call


class _Pair(tuple):
    """A metadatum as grpc gives it: a named tuple."""

    __slots__ = ()
    key = property(lambda self: self[0])
    value = property(lambda self: self[1])


class _Core:
    """The core's record of one asyncio call."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self.add_done_callback = self.callbacks.append
        self._status = SimpleNamespace(code=lambda: 0, details=lambda: "")


def aio_client(_flags: str) -> Callable[[], object]:
    """Return one call from its constructor to its done callbacks. Needs a running loop."""
    channel = grpc.aio.insecure_channel("127.0.0.1:1")
    module = sys.modules["grpc.aio._call"]

    def constructor(this: Any, request: bytes, *wire: Any) -> None:
        this._cython_call = _Core()
        (wire[6] or bytes)(request)
        (wire[7] or bytes)(request)

    init = in_place(module.UnaryUnaryCall.__init__, constructor)
    wire = (None, grpc.aio.Metadata(), None, None, channel._channel, METHOD, None, None, channel._loop)

    def call() -> None:
        this = SimpleNamespace()
        init(this, REQUEST, *wire)
        for callback in this._cython_call.callbacks:
            callback()

    return call


def _interceptor() -> Any:
    """Return the interceptor that a new asyncio server gets from us, None where nothing is hooked."""
    grpc.aio.server()  # hooks go in with the first
    module = sys.modules["grpc.aio._server"]
    given: list[Any] = []
    core = module.cygrpc
    stand_in = SimpleNamespace(is_running=lambda: False)  # asked when the server is collected

    def made(*arguments: Any) -> object:
        given.extend(arguments[3] or ())
        return stand_in

    module.cygrpc = SimpleNamespace(**vars(core) | {"AioServer": made})
    grpc.aio.server()
    module.cygrpc = core
    return given[0] if given else None


def aio_server(flags: str) -> Callable[[], Any]:
    """Return one call as a coroutine function, which is to be awaited in a task of its own, as grpc does."""
    first = _interceptor()
    details = SimpleNamespace(
        method="/bench.Echo/Call", invocation_metadata=(("user-agent", "grpc"), ("traceparent", TRACEPARENT % flags))
    )
    servicer = SimpleNamespace(
        peer=lambda: "ipv4:127.0.0.1:4711", code=lambda: 0, done=lambda: True, details=lambda: ""
    )

    async def echo(request: bytes, _context: object) -> bytes:
        return request

    found = grpc.unary_unary_rpc_method_handler(echo)

    async def continuation(_details: object) -> object:
        return found

    async def call() -> None:
        handler: Any = await (first.intercept_service(continuation, details) if first else continuation(details))
        if not handler.request_streaming and not handler.response_streaming:
            (handler.request_deserializer or bytes)(REQUEST)
            (handler.response_serializer or bytes)(await handler.unary_unary(REQUEST, servicer))

    return call


SIDES = {"sync client": sync_client, "sync server": sync_server, "aio client": aio_client, "aio server": aio_server}


async def loop(side: str, call: Callable[[], Any], times: int) -> None:
    """Make *times* calls."""
    if side == "aio server":
        task = asyncio.get_running_loop().create_task
        for _ in range(times):
            await task(call())
        await asyncio.sleep(0)
    else:
        for _ in range(times):
            call()


async def main() -> None:
    """Print one line per side, or one side's profile."""
    chosen = sys.argv[1:] or list(SIDES)
    for side in chosen:
        for flags in ("01", "00") if "server" in side else ("",):
            call = SIDES[side](flags)
            await loop(side, call, CALLS)
            flush()
            here, elsewhere = [], []
            for _ in range(REPEATS):
                process, thread = time.process_time_ns(), time.thread_time_ns()
                await loop(side, call, CALLS)
                here.append(time.thread_time_ns() - thread)
                flush()
                elsewhere.append(time.process_time_ns() - process - here[-1])
            mine, others = (statistics.median(found) / CALLS / 1e3 for found in (here, elsewhere))
            parent = {"01": ", parent sampled", "00": ", parent not sampled"}.get(flags, "")
            print(f"{side}{parent}: {mine:.2f} µs, and {others:.2f} µs in other threads", flush=True)
            if sys.argv[1:]:
                profile = cProfile.Profile()
                profile.enable()
                await loop(side, call, CALLS)
                profile.disable()
                pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    asyncio.run(main())
