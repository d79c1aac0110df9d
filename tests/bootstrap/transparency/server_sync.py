"""Sync server."""

import logging
import threading
import time
from concurrent import futures

import grpc
import grpc.aio
import grpc.experimental

from tests.bootstrap.transparency.bench import Sync, attempt, case, echo, frames, names, pairs


@case
def servicer_context():
    seen = []

    def behavior(request, context):
        remaining = context.time_remaining()
        context.set_trailing_metadata((("t", "1"), ("t", "2"), ("t-bin", b"\x00")))
        context.send_initial_metadata((("i", "1"),))
        context.set_code(grpc.StatusCode.OK)
        context.set_details("fine")
        context.disable_next_message_compression()
        seen.append(
            [
                type(context).__qualname__,
                names(context),
                0 < remaining <= 5,
                context.is_active(),
                context.peer().split(":")[0],
                pairs(context.invocation_metadata()),
            ]
        )
        return request

    with Sync("uu", behavior) as s:
        response, call = s.method.with_call(b"a", timeout=5, metadata=(("k", "v"),))
        return [
            seen,
            response.decode(),
            pairs(call.initial_metadata()),
            pairs(call.trailing_metadata()),
            str(call.code()),
            call.details(),
        ]


@case
def server_errors_and_their_logs():
    """What grpc logs, with its tracebacks, names no frame of ours."""

    def behavior(request, context):
        if request == b"raise":
            raise ValueError("mine")
        if request == b"abort":
            context.abort(grpc.StatusCode.ABORTED, "mine")
        context.set_code(grpc.StatusCode.DATA_LOSS)
        return request

    lines = []
    keep = logging.Handler()
    keep.emit = lambda record: lines.append(
        [
            record.getMessage(),
            frames(record.exc_info[2]) if record.exc_info else None,
        ]
    )
    logging.getLogger().addHandler(keep)
    with Sync("uu", behavior) as s:
        errors = [attempt(lambda what=what: s.method(what)) for what in (b"raise", b"abort", b"code")]
    return [errors, lines]


@case
def abort_with_status():
    class Status(grpc.Status):
        code = grpc.StatusCode.PERMISSION_DENIED
        details = "mine"
        trailing_metadata = (("k", "v"),)

    with Sync("uu", lambda request, context: context.abort_with_status(Status())) as s:
        return attempt(lambda: s.method(b"a"))


@case
def server_callbacks():
    seen, over = [], threading.Event()

    def behavior(request, context):
        seen.append(context.add_callback(lambda: seen.append("first")))
        seen.append(context.add_callback(lambda: (seen.append("second"), over.set())))
        return request

    with Sync("uu", behavior) as s:
        s.method(b"a")
        over.wait(5)
        return seen


@case
def server_interceptors_in_every_form():
    seen = []

    class Interceptor(grpc.ServerInterceptor):
        def intercept_service(self, continuation, details):
            found = continuation(details)
            seen.append(
                [
                    details.method,
                    type(found).__qualname__,
                    found.unary_unary is echo,
                    pairs(details.invocation_metadata),
                ]
            )
            return found

    for options in (
        {"interceptors": (Interceptor(), Interceptor())},
        {"interceptors": [Interceptor()]},
        {"interceptors": None},
        {},
    ):
        with Sync("uu", echo, **options) as s:
            s.method(b"a")
    server = grpc.server(futures.ThreadPoolExecutor(1), None, (Interceptor(),), None, 3, None)
    seen.append(type(server).__qualname__)
    seen.append(str(type(attempt(lambda: grpc.server(futures.ThreadPoolExecutor(1), interceptors=[5])))))
    return seen


@case
def unknown_method_and_too_many_calls():
    begun = threading.Event()

    def slow(request, context):
        begun.set()
        time.sleep(0.3)
        return request

    with Sync("uu", slow, maximum_concurrent_rpcs=1) as s:
        missing = attempt(lambda: s.channel.unary_unary("/t.S/Missing")(b"a"))
        first = s.method.future(b"a")
        begun.wait(5)
        return [missing, attempt(lambda: s.method(b"a")), first.result().decode()]


@case
def handler_of_any_callable():
    class Callable:
        def __call__(self, request, context):
            return request + b"!"

    import functools

    seen = []
    for behavior in (
        Callable(),
        functools.partial(lambda extra, request, context: request + extra, b"?"),
        lambda *arguments: arguments[0],
    ):
        with Sync("uu", behavior) as s:
            seen.append(s.method(b"a").decode())
    return seen


@case
def server_stop():
    started = threading.Event()

    def behavior(request, context):
        started.set()
        time.sleep(0.3)
        return request

    with Sync("uu", behavior) as s:
        future = s.method.future(b"a")
        started.wait(5)
        s.server.stop(5).wait()
        return [future.result().decode(), s.server.wait_for_termination(0.1)]


@case
def a_starved_pool():
    with Sync("uu", lambda request, context: time.sleep(0.2) or request, pool=1) as s:
        first = s.method.future(b"a")
        time.sleep(0.05)
        late = attempt(lambda: s.method(b"b", timeout=0.05))[2]
        return [first.result().decode(), late]


@case
def context_variables_of_the_handler():
    import contextvars

    with Sync(
        "uu",
        lambda request, context: str(
            sorted(v.name for v in contextvars.copy_context() if not v.name.startswith("grpctracing"))
        ).encode(),
    ) as s:
        return s.method(b"a").decode()
