"""Channels: targets of every form, subclasses, stand-ins, options, and what reflection on grpc's own classes shows."""

import inspect
import tempfile
import threading
from concurrent import futures
from pathlib import Path
from unittest import mock

import grpc
import grpc._channel
import grpc.experimental

from tests.bootstrap.transparency.bench import Sync, attempt, case, echo, echoes, handler, handlers, names


def serving(address):
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handlers(M=handler("uu", echo)),))
    port = server.add_insecure_port(address)
    server.start()
    return server, port


def asked(target, **options):
    with grpc.insecure_channel(target, **options) as channel:
        return channel.unary_unary("/t.S/M")(b"a", timeout=30).decode()


@case
def unix_targets():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.sock"
        server, _ = serving(f"unix:{path}")
        peers = []
        server.add_generic_rpc_handlers(
            (handlers_of("t.P", lambda request, context: peers.append(context.peer()[:5]) or request),)
        )
        with grpc.insecure_channel(f"unix:{path}") as channel:
            channel.unary_unary("/t.P/M")(b"a")
        seen = [asked(f"unix:{path}"), asked(f"unix://{path}"), peers]
        server.stop(None).wait()
        return seen


def handlers_of(service, behavior):
    return grpc.method_handlers_generic_handler(service, {"M": handler("uu", behavior)})


@case
def abstract_unix_targets():
    import os

    name = f"grpc-case-{os.getpid()}"
    server, _ = serving("unix-abstract:" + name)
    seen = asked("unix-abstract:" + name)
    server.stop(None).wait()
    return seen


@case
def ipv6_targets():
    server, port = serving("[::1]:0")
    seen = [
        attempt(lambda form=form: asked(form % port))[:3]
        for form in ("[::1]:%d", "ipv6:[::1]:%d", "ipv6:%%5B::1%%5D:%d")
    ]
    server.stop(None).wait()
    return seen


@case
def targets_that_lead_nowhere():
    seen = []
    for target in (
        "",
        " ",
        "http://localhost:1",
        "localhost",
        "localhost:port",
        "dns:///",
        "xds:///x",
        "a:b:c",
        "ipv4:::1:1",
        "/x",
        "ümlaut:1",
    ):
        with grpc.insecure_channel(target) as channel:
            seen.append(attempt(lambda channel=channel: channel.unary_unary("/t.S/M")(b"a", timeout=0.3))[:1])
    return seen


@case
def targets_of_wrong_type():
    return [
        attempt(lambda target=target: type(grpc.insecure_channel(target)).__qualname__)[:3] for target in (None, 5, [])
    ]


@case
def targets_as_bytes():
    with Sync("uu", echo) as s:
        return attempt(lambda: asked((f"localhost:{s.port}").encode()))


@case
def options_of_channels():
    with Sync("uu", echo) as s:
        return [
            attempt(lambda options=options: asked(f"localhost:{s.port}", options=options))[:3]
            for options in (
                None,
                (),
                [],
                (("grpc.max_receive_message_length", 0),),
                [("grpc.primary_user_agent", "mine")],
                {"a": 1},
                5,
            )
        ]


@case
def connectivity_is_told():
    with Sync("uu", echo) as s:
        states, ready = [], threading.Event()

        def changed(state):
            states.append(str(state))
            if state is grpc.ChannelConnectivity.READY:
                ready.set()

        before = set(threading.enumerate())
        s.channel.subscribe(changed, try_to_connect=True)
        seen = [ready.wait(30), states[0]]
        s.channel.unsubscribe(changed)
        for thread in (
            set(threading.enumerate()) - before
        ):  # old grpc's polls, and says so when its channel is closed meanwhile
            thread.join(30)
        future = grpc.channel_ready_future(s.channel)
        return [*seen, future.result(timeout=30), future.done(), type(future).__qualname__]


@case
def channel_closed_more_than_once():
    with Sync("uu", echo) as s:
        s.method(b"a")
        return [
            s.channel.close(),
            s.channel.close(),
            attempt(lambda: s.method(b"a")),
            attempt(lambda: s.method.future(b"a")),
        ]


@case
def method_of_a_channel_that_is_gone():
    with Sync("uu", echo) as s:
        method = grpc.insecure_channel(f"localhost:{s.port}").unary_unary("/t.S/M")
        return attempt(lambda: method(b"a", timeout=30))[:3]


@case
def subclassed_multicallable():
    class Mine(grpc._channel._UnaryUnaryMultiCallable):
        def __call__(self, request, *args, **kwargs):
            return b"<" + super().__call__(request, *args, **kwargs) + b">"

    with Sync("uu", echo) as s:
        s.method.__class__ = Mine
        response, call = s.method.with_call(b"a")
        return [s.method(b"a").decode(), response.decode(), type(s.method).__qualname__, type(call).__qualname__]


@case
def channel_of_the_applications_own():  # noqa: C901 - the interface has that many methods
    class Mine(grpc.Channel):
        def __init__(self, inner):
            self.inner = inner
            self.log = []

        def __getattribute__(self, name):
            if name in {
                "unary_unary",
                "unary_stream",
                "stream_unary",
                "stream_stream",
                "subscribe",
                "unsubscribe",
                "close",
            }:
                self.log.append(name)
                return getattr(self.inner, name)
            return super().__getattribute__(name)

        def unary_unary(self): ...
        def unary_stream(self): ...
        def stream_unary(self): ...
        def stream_stream(self): ...
        def subscribe(self): ...
        def unsubscribe(self): ...
        def close(self): ...
        def __enter__(self): ...
        def __exit__(self, *_): ...

    with Sync("uu", echo) as s:
        mine = Mine(s.channel)
        return [mine.unary_unary("/t.S/M", None, None)(b"a").decode(), mine.log]


@case
def stubs_that_are_mocked():
    with mock.patch("grpc.insecure_channel") as made:
        made.return_value.unary_unary.return_value.return_value = b"mock"
        seen = grpc.insecure_channel("x").unary_unary("/a/b")(b"a").decode()
    with Sync("uu", echo) as s, mock.patch.object(grpc._channel._UnaryUnaryMultiCallable, "__call__") as called:
        called.return_value = b"patched"
        patched = s.method(b"a").decode()
    with Sync("uu", echo) as s:
        return [seen, patched, s.method(b"a").decode()]


@case
def classes_look_as_they_are():
    seen = []
    for name in (
        "_UnaryUnaryMultiCallable",
        "_UnaryStreamMultiCallable",
        "_StreamUnaryMultiCallable",
        "_StreamStreamMultiCallable",
    ):
        owner = getattr(grpc._channel, name)
        for method in ("__init__", "__call__", "with_call", "future"):
            found = getattr(owner, method, None)
            if found is not None:
                seen.append(
                    [
                        found.__qualname__,
                        found.__module__,
                        str(inspect.signature(found)),
                        inspect.isfunction(found),
                        inspect.getdoc(found),
                        sorted(map(str, getattr(found, "__annotations__", {}))),
                        inspect.getsource(found).splitlines()[0],
                    ]
                )
        seen.append([sorted(vars(owner)), [base.__qualname__ for base in owner.__mro__]])
    return seen


@case
def multicallables_of_every_signature():
    with Sync("uu", echo) as s:
        upper = s.channel.unary_unary("/t.S/M", lambda text: text.upper().encode(), bytes.decode)
        keywords = s.channel.unary_unary(method="/t.S/M", request_serializer=None, response_deserializer=len)
        return [
            upper("abc"),
            keywords(b"abc"),
            sorted(name for name in vars(upper) if name != "_grpctracing"),
            names(upper),
            attempt(s.channel.unary_unary),
            attempt(lambda: s.channel.unary_unary(b"/t.S/M")(b"a"))[:3],
        ]


@case
def one_multicallable_in_many_threads():
    with Sync("uu", echo, pool=8) as s, futures.ThreadPoolExecutor(8) as pool:
        return [m.decode() for m in pool.map(s.method, [b"%d" % number for number in range(100)])]


@case
def experimental_functions():
    with Sync("us", echoes) as s:
        target = f"localhost:{s.port}"
        stream = grpc.experimental.unary_stream(
            b"a", target, "/t.S/M", insecure=True, metadata=(("k", "v"),), timeout=30
        )
        seen = [type(stream).__qualname__, [m.decode() for m in stream]]
    with Sync("su", lambda requests, context: b"".join(requests)) as s:
        target = f"localhost:{s.port}"
        seen.append(grpc.experimental.stream_unary(iter([b"a", b"b"]), target, "/t.S/M", insecure=True).decode())
    with Sync("ss", lambda requests, context: requests) as s:
        target = f"localhost:{s.port}"
        seen.append(
            [m.decode() for m in grpc.experimental.stream_stream(iter([b"a"]), target, "/t.S/M", insecure=True)]
        )
    return [seen, attempt(lambda: grpc.experimental.unary_unary(b"a", target, "/t.S/M", timeout=0.3))[:1]]


@case
def experimental_decorator_and_others():
    @grpc.experimental.experimental_api
    def mine(value):
        return value

    return [
        mine(3),
        mine.__name__,
        attempt(lambda: type(grpc.experimental.insecure_channel_credentials()).__qualname__)[:3],
    ]
