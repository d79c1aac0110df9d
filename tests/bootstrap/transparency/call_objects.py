"""Sync client: what the call objects are and do, beyond the results."""

import copy
import gc
import pickle
import threading
import weakref

import grpc

from tests.bootstrap.transparency.bench import Sync, attempt, bidi, case, echo, echoes, failure, names, pairs


def joined(requests, context):
    return b"".join(requests)


def interfaces(call):
    kinds = (grpc.Call, grpc.Future, grpc.RpcContext, grpc.RpcError, Exception)
    return [isinstance(call, kind) for kind in kinds]


@case
def stream_unary_in_three_ways():
    with Sync("su", joined) as s:
        response, call = s.method.with_call(iter([b"a", b"b"]), timeout=30)
        future = s.method.future(iter([b"c"]))
        return [
            s.method(iter([b"a", b"b"])).decode(),
            [response.decode(), type(call).__qualname__, str(call.code()), names(call)],
            [future.result().decode(), type(future).__qualname__, names(future)],
        ]


@case
def interfaces_of_all_call_objects():
    seen = []
    for kind, behavior in (("uu", echo), ("us", echoes), ("su", joined), ("ss", bidi)):
        with Sync(kind, behavior) as s:
            call = (s.method.future if kind[1] == "u" else s.method)(b"a" if kind[0] == "u" else iter([b"a"]))
            seen.append([type(call).__qualname__, interfaces(call), [base.__qualname__ for base in type(call).__mro__]])
            if kind[1] == "s":
                list(call)
            else:
                call.result()
    return seen


@case
def text_of_call_objects():
    with Sync("us", echoes) as s:
        call = s.method(b"a")
        list(call)
        seen = [
            call.details(),
            str(call.code()),
            call.debug_error_string() if hasattr(call, "debug_error_string") else "",
        ]
        lines = [line.strip() for text in (repr(call), str(call)) for line in text.splitlines()]
        return [seen[:2], [line for line in lines if "0x" not in line and "debug" not in line]]


@case
def text_of_errors():
    with Sync("uu", lambda request, context: context.abort(grpc.StatusCode.INTERNAL, "mine")) as s:
        try:
            s.method(b"a")
        except grpc.RpcError as error:
            lines = [line.strip() for text in (repr(error), str(error)) for line in text.splitlines()]
            return [
                [line for line in lines if "debug" not in line],
                error.args,
                interfaces(error),
                error.__cause__,
                error.__context__,
                error.__suppress_context__,
                sorted(vars(error)),
                attempt(lambda error=error: type(pickle.loads(pickle.dumps(error))).__qualname__)[0],
                attempt(lambda error=error: type(copy.copy(error)).__qualname__),
            ]


@case
def errors_of_iteration():
    def behavior(request, context):
        yield request
        context.abort(grpc.StatusCode.DATA_LOSS, "mine")

    with Sync("us", behavior) as s:
        call = s.method(b"a")
        seen = [next(call).decode()]
        try:
            next(call)
        except grpc.RpcError as error:
            seen += [error is call, interfaces(error), failure(error)[2:]]
        return [
            *seen,
            attempt(lambda: next(call))[:3],
            attempt(call.result)[:3],
            str(call.exception() is call),
        ]


@case
def future_that_failed():
    with Sync("uu", lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "mine")) as s:
        future = s.method.future(b"a")
        error = future.exception()
        return [
            type(error).__qualname__,
            error is future,
            [frame for frame in [future.traceback()] if frame is None],
            attempt(future.result)[:4],
            [future.done(), future.running(), future.cancelled(), future.cancel()],
            str(future.code()),
            future.details(),
            pairs(future.trailing_metadata()),
        ]


@case
def future_result_in_time():
    over = threading.Event()
    with Sync("uu", lambda request, context: over.wait(30) and request) as s:
        future = s.method.future(b"a")
        seen = [
            attempt(lambda: future.result(timeout=0.05)),
            attempt(lambda: future.exception(timeout=0)),
            attempt(lambda: future.traceback(timeout=0)),
            future.running(),
            future.done(),
        ]
        over.set()
        return [seen, future.result(timeout=30).decode(), future.exception(), future.traceback()]


@case
def callbacks_of_futures():
    """Before the end, after it, twice, and one that raises; grpc logs the last one by itself."""
    seen, over = [], threading.Event()
    with Sync("uu", lambda request, context: over.wait(30) and request) as s:
        future = s.method.future(b"a")
        done = threading.Event()
        future.add_done_callback(lambda this: seen.append(["first", this is future]))
        future.add_done_callback(lambda this: (seen.append(["second", this.done()]), done.set()))
        seen.append("not yet")
        over.set()
        future.result()
        done.wait(30)
        seen.append([future.add_done_callback(lambda this: seen.append("late"))])
        return seen


@case
def callbacks_that_are_refused_after_the_end():
    with Sync("ss", bidi) as s:
        call = s.method(iter([]))
        list(call)
        call.code()
        return [call.add_callback(lambda: None), call.is_active(), call.cancel(), call.done()]


@case
def status_is_waited_for():
    """`code`, `details` and the metadata block until they are known."""

    def behavior(request, context):
        context.set_trailing_metadata((("t", "1"),))
        yield request

    with Sync("us", behavior) as s:
        call = s.method(b"a")
        initial = pairs(call.initial_metadata())
        first = next(call)
        list(call)
        return [initial, first.decode(), pairs(call.trailing_metadata()), str(call.code()), call.details()]


@case
def time_remaining_of_calls():
    over = threading.Event()
    with Sync("uu", lambda request, context: over.wait(30) and request) as s:
        bounded, free = s.method.future(b"a", timeout=60), s.method.future(b"a")
        seen = [0 < bounded.time_remaining() <= 60, free.time_remaining(), bounded.is_active()]
        over.set()
        bounded.result()
        free.result()
        return [seen, bounded.is_active()]


@case
def call_objects_can_be_kept_weakly():
    with Sync("us", echoes) as s:
        call = s.method(b"a")
        list(call)
        kept = weakref.ref(call)
        seen = [kept() is call, hash(call) == hash(call), call == call, call != s.channel]  # noqa: PLR0124
        del call
        gc.collect()
        return [seen, kept() is None]


@case
def attributes_can_be_hung_on_call_objects():
    with Sync("uu", echo) as s:
        future = s.method.future(b"a")
        future.mine = 1
        s.method.mine = 2
        future.result()
        return [future.mine, s.method.mine, s.method(b"a").decode()]
