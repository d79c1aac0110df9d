"""Handlers as plain functions: what each ending does in the server. For grpc.server, and for grpc.aio's server, which runs them in threads."""

import threading
import time
from collections import defaultdict
from concurrent import futures

import grpc
from shared import LATE, MAKERS, OPTIONS, PATIENCE, UNREAD, WAITING, Handlers, response_of, split

began = defaultdict(threading.Event)  # by "ENDING_KIND": the handler runs
everything_is_over = threading.Event()
waiting = set()


def wait_for(ending, kind):
    """Return True as soon as the handler of that method runs."""
    return began[f"{ending}_{kind}"].wait(PATIENCE)


class Status(grpc.Status):
    """What abort_with_status takes."""

    code = grpc.StatusCode.NOT_FOUND
    details = "no such thing"
    trailing_metadata = (("reason", "gone"),)


def set_code(code, details):
    def act(context):
        context.set_code(code)
        context.set_details(details)

    return act


def fail(_):
    raise ValueError("oh no")


def fail_after_code(context):
    context.set_code(grpc.StatusCode.ABORTED)
    fail(context)


def wait_for_end(context):
    """Return when the call is over; under grpc.aio, which does not tell a plain function, when everything is."""
    over = everything_is_over
    if hasattr(context, "is_active"):
        over = threading.Event()
        if not context.add_callback(over.set):
            return
    waiting.add(over)
    over.wait(PATIENCE)
    waiting.discard(over)


def wait_for_all():
    """Return when no handler waits for the end of its call any more."""
    while waiting:
        time.sleep(0.01)


def cancel(context):
    context.cancel()


def abort(context):
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


ACTS = {
    "Abort": abort,
    "AbortLate": abort,
    "AbortWithStatus": lambda context: context.abort_with_status(Status()),
    "SetCode": set_code(grpc.StatusCode.FAILED_PRECONDITION, "not now"),
    "SetCodeOfServer": set_code(grpc.StatusCode.DATA_LOSS, "it was there"),
    "Raise": fail,
    "RaiseLate": fail,
    "RaiseAfterCode": fail_after_code,
    "CancelledByServer": cancel,
}


def behavior(ending, kind):
    """Return the handler's function."""

    def before(requests, context):
        began[f"{ending}_{kind}"].set()
        if kind[0] == "s" and ending not in UNREAD:
            for _ in requests:
                pass
        if ending in WAITING:
            wait_for_end(context)
        if ending in ACTS:
            ACTS[ending](context)

    def unary(request, context):
        before(request, context)
        return response_of(ending)

    def stream(request, context):
        if ending in LATE:
            yield response_of(ending)
        before(request, context)
        yield response_of(ending)

    return stream if kind[1] == "s" else unary


class Interceptor(grpc.ServerInterceptor):
    """The application's: it lets nobody pass whose method says so."""

    def intercept_service(self, continuation, details):
        ending, kind = split(details.method)
        if ending == "InterceptorRaises":
            raise ValueError("oh no")
        handler = continuation(details)
        if ending == "InterceptorAborts":

            def refuse(_, context):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")

            return MAKERS[kind][0](refuse, handler.request_deserializer, handler.response_serializer)
        return handler


def serve(**options):
    """Return (server, port) of a started server."""
    server = grpc.server(
        futures.ThreadPoolExecutor(16), [Handlers(behavior)], [Interceptor()], options=OPTIONS, **options
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port
