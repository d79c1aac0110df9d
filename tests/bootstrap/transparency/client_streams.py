"""Sync client: streams, callbacks, interceptors, compression."""

import gc
import threading
import time

import grpc
import grpc.aio
import grpc.experimental

from tests.bootstrap.transparency.bench import Sync, attempt, bidi, case, echo, echoes, names, pairs


@case
def stream_of_responses():
    with Sync("us", echoes) as s:
        call = s.method(b"a")
        first = next(call).decode()
        return [
            type(call).__qualname__,
            first,
            [m.decode() for m in call],
            str(call.code()),
            call.is_active(),
            call.time_remaining(),
            names(call),
            call.cancel(),
            isinstance(call, grpc.Call),
            isinstance(call, grpc.Future),
        ]


@case
def stream_of_responses_single_threaded():
    with Sync("us", echoes, channel=((grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),)) as s:
        call = s.method(b"a")
        return [
            type(call).__qualname__,
            [m.decode() for m in call],
            str(call.code()),
            pairs(call.trailing_metadata()),
            names(call),
        ]


@case
def stream_starts_when_called():
    started = threading.Event()

    def behavior(request, context):
        started.set()
        yield request

    with Sync("us", behavior) as s:
        call = s.method(b"a")
        seen = started.wait(5)
        call.cancel()
        return seen


@case
def stream_abandoned_is_cancelled():
    gone = threading.Event()

    def behavior(request, context):
        context.add_callback(gone.set)
        while context.is_active():
            yield request
            time.sleep(0.01)

    with Sync("us", behavior) as s:
        call = s.method(b"a")
        next(call)
        del call
        gc.collect()
        return gone.wait(5)


@case
def stream_cancelled():
    with Sync("ss", bidi) as s:
        call = s.method(iter([b"a", b"b"]))
        first = next(call).decode()
        seen = [call.cancel(), str(call.code()), call.cancelled(), call.done()]
        return [first, seen, attempt(lambda: next(call))]


@case
def request_iterator_that_raises():
    def bad():
        yield b"a"
        raise ValueError("mine")

    with Sync("su", lambda requests, context: b"".join(requests)) as s:
        return attempt(lambda: s.method(bad()))[2:4]


@case
def requests_are_taken_lazily():
    taken = []

    def requests():
        for number in range(3):
            taken.append(number)
            yield b"%d" % number

    with Sync("ss", bidi) as s:
        return [[m.decode() for m in s.method(requests())], taken]


@case
def stream_callbacks():
    with Sync("us", echoes) as s:
        call = s.method(b"a")
        seen, over = [], threading.Event()
        added = call.add_callback(lambda: (seen.append("callback"), over.set()))
        list(call)
        over.wait(5)
        return [added, seen, call.add_callback(lambda: None)]


@case
def client_interceptors():
    log = []

    class Interceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
        def __init__(self, name):
            self.name = name

        def intercept_unary_unary(self, continuation, details, request):
            log.append(
                [self.name, type(details).__qualname__, details.method, pairs(details.metadata), details.timeout]
            )
            result = continuation(details, request)
            log.append([self.name, type(result).__qualname__, names(result)])
            return result

        def intercept_unary_stream(self, continuation, details, request):
            result = continuation(details, request)
            log.append([self.name, type(result).__qualname__])
            return result

    with Sync("uu", echo) as s:
        channel = grpc.intercept_channel(s.channel, Interceptor("one"), Interceptor("two"))
        method = channel.unary_unary("/t.S/M")
        seen = [
            method(b"a", metadata=(("k", "v"),), timeout=5).decode(),
            method.with_call(b"a")[0].decode(),
            method.future(b"a").result().decode(),
        ]
        return [seen, log, type(method).__qualname__]


@case
def interceptor_sees_no_more_metadata_than_was_given():
    log = []

    class Interceptor(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            log.append(details.metadata)
            return continuation(details, request)

    with Sync("uu", echo) as s:
        grpc.intercept_channel(s.channel, Interceptor()).unary_unary("/t.S/M")(b"a")
        return log


@case
def compression_and_wait_for_ready():
    with Sync("uu", echo, compression=grpc.Compression.Gzip) as s:
        return [
            s.method(b"a" * 1000, compression=grpc.Compression.Deflate, wait_for_ready=True).decode(),
            s.method(b"a", None, None, None, True, grpc.Compression.Gzip).decode(),
        ]


@case
def simple_stubs():
    seen = []
    with Sync("uu", echo) as s:
        seen.append(grpc.experimental.unary_unary(b"a", f"localhost:{s.port}", "/t.S/M", insecure=True).decode())
    with Sync("us", echoes) as s:
        seen.append(
            [m.decode() for m in grpc.experimental.unary_stream(b"a", f"localhost:{s.port}", "/t.S/M", insecure=True)]
        )
    return seen
