"""Sync client: unary calls, metadata, errors, targets."""

import inspect
import threading
import time

import grpc
import grpc.aio
import grpc.experimental

from tests.bootstrap.transparency.bench import Sync, attempt, case, echo, names, pairs, spy_metadata


@case
def unary_result():
    with Sync("uu", echo) as s:
        return [s.method(b"a").decode(), type(s.method).__qualname__, str(inspect.signature(type(s.method).__call__))]


@case
def unary_with_call():
    with Sync("uu", echo) as s:
        response, call = s.method.with_call(b"a", 5)
        return [
            response.decode(),
            type(call).__qualname__,
            str(call.code()),
            call.details(),
            pairs(call.trailing_metadata()),
            pairs(call.initial_metadata()),
            names(call),
        ]


@case
def unary_future():
    with Sync("uu", echo) as s:
        future = s.method.future(b"a", timeout=5)
        done = threading.Event()
        seen = []
        future.add_done_callback(lambda this: (seen.append(this is future), done.set()))
        done.wait(5)
        return [
            future.result().decode(),
            type(future).__qualname__,
            seen,
            future.done(),
            future.running(),
            future.cancelled(),
            str(future.exception()),
            str(future.traceback()),
            names(future),
        ]


@case
def unary_future_cancelled():
    with Sync("uu", lambda request, context: time.sleep(0.3) or request) as s:
        future = s.method.future(b"a")
        first = [
            future.cancel(),
            future.cancelled(),
            future.done(),
            str(future.code()),
            future.details(),
            future.cancel(),
        ]
        try:
            future.result(1)
        except grpc.FutureCancelledError as error:
            first.append(type(error).__name__)
        return first


@case
def unary_error():
    with Sync("uu", lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "nö")) as s:
        return attempt(lambda: s.method(b"a"))


@case
def unary_deadline():
    with Sync("uu", lambda request, context: time.sleep(0.5) or request) as s:
        return attempt(lambda: s.method(b"a", timeout=0.1))


@case
def wrong_arguments():
    with Sync("uu", echo) as s:
        return [
            attempt(s.method),
            attempt(lambda: s.method(b"a", nonsense=1)),
            attempt(lambda: s.method(b"a", 1, (), None, None, None, 7)),
            attempt(lambda: s.method(b"a", timeout="x")),
        ]


@case
def wrong_metadata():
    with Sync("uu", echo) as s:
        bad = [
            5,
            "text",
            [("a",)],
            [("a", 1)],
            [("A", "upper")],
            [("a", "b", "c")],
            [5],
            [(5, "x")],
            [("ä", "x")],
            {"k": "v"},
        ]
        return [attempt(lambda given=given: s.method(b"a", metadata=given).decode())[:2] for given in bad]


@case
def metadata_of_any_type():
    seen = []
    given = (("b", "1"), ("a", "2"), ("b", "3"), ("x-bin", b"\x00\xff"))
    with Sync("uu", spy_metadata(seen)) as s:
        for metadata in (
            given,
            list(given),
            iter(given),
            (pair for pair in given),
            grpc.aio.Metadata(*given),
            None,
            (),
            [],
        ):
            s.method(b"a", metadata=metadata)
        s.method(b"a", None, given)
        s.method(b"a", None, given, None, None, None)
        s.method(metadata=given, request=b"a")
        return seen


@case
def a_list_of_metadata_is_left_alone():
    with Sync("uu", echo) as s:
        mine = [("a", "1")]
        s.method(b"a", metadata=mine)
        return mine


@case
def metadata_of_a_generator_that_raises():
    def bad():
        yield ("a", "1")
        raise KeyError("mine")

    with Sync("uu", echo) as s:
        return attempt(lambda: s.method(b"a", metadata=bad()))


@case
def serializer_that_raises():
    def bad(_):
        raise ValueError("mine")

    with Sync("uu", echo) as s:
        return [
            attempt(lambda: s.channel.unary_unary("/t.S/M", request_serializer=bad)(b"a")),
            attempt(lambda: s.channel.unary_unary("/t.S/M", response_deserializer=bad)(b"a")),
            attempt(lambda: s.channel.unary_unary("/t.S/M")("text")),
            attempt(lambda: s.channel.unary_unary("/t.S/M")(None)),
        ]


@case
def closed_channel():
    with Sync("uu", echo) as s:
        s.channel.close()
        return attempt(lambda: s.method(b"a"))


@case
def nobody_listens():
    error = attempt(lambda: grpc.insecure_channel("localhost:1").unary_unary("/t.S/M")(b"a", timeout=5))
    return [error[0], error[2]]


@case
def targets():
    seen = []
    with Sync("uu", echo) as s:
        for target in (
            f"dns:///localhost:{s.port}",
            f"dns:localhost:{s.port}",
            f"ipv4:127.0.0.1:{s.port}",
            f"ipv4:127.0.0.1:1,127.0.0.1:{s.port}",
            f"127.0.0.1:{s.port}",
        ):
            with grpc.insecure_channel(target) as channel:
                seen.append(attempt(lambda channel=channel: channel.unary_unary("/t.S/M")(b"a", timeout=5).decode()))
    for target in ("nonsense://x", "", "unix:/nowhere.sock", "xds:///x"):
        with grpc.insecure_channel(target) as channel:
            seen.append(attempt(lambda channel=channel: channel.unary_unary("/t.S/M")(b"a", timeout=1))[2])
    return seen


@case
def odd_method_names():
    with Sync("uu", echo) as s:
        return [
            attempt(lambda name=name: s.channel.unary_unary(name)(b"a", timeout=5))[2:4]
            for name in ("/x", "x", "", "/a/b/c", "/ä/b", "//", "/a/")
        ]
