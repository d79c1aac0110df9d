"""Sync server: statuses in every way to set them, odd handlers, generic handlers, pools and stops."""

import threading
from concurrent import futures

import grpc

from tests.bootstrap.transparency.bench import Sync, attempt, case, echo, echoes, fresh, handler, handlers, names, pairs

STUCK = """
    import os
    from tests.bootstrap.transparency.bench import Sync, attempt, echo, echoes
    kept = []
    for kind, behavior, serializers in (
        ("uu", lambda request, context: 5, ()),
        ("uu", lambda request, context: "text", ()),
        ("uu", echoes, ()),
        ("uu", echo, (None, lambda data: "text")),
        ("us", lambda request, context: ["text"], ()),
    ):
        server = Sync(kind, behavior, serializers).__enter__()
        kept.append(server)
        method = server.method
        print(attempt(lambda: method(b"a", timeout=0.5) if kind == "uu" else list(method(b"a", timeout=0.5)))[2:4], flush=True)
    os._exit(0)
"""


def told(kind, behavior, *serializers):
    """Return what a client sees of one call."""
    with Sync(kind, behavior, serializers) as s:
        request = b"a" if kind[0] == "u" else iter([b"a", b"b"])
        if kind[1] == "u":
            return attempt(lambda: s.method(request, timeout=30))[:4]
        seen = []
        error = attempt(lambda: seen.extend(s.method(request, timeout=30)))
        return [seen, error and error[:4]]


@case
def codes_in_every_way():
    seen = []
    for code in (*grpc.StatusCode, 5, "text", None, grpc.StatusCode.OK.value):

        def behavior(request, context, code=code):
            context.set_code(code)
            context.set_details("mine")
            return request

        seen.append(told("uu", behavior))
    return seen


@case
def aborts_in_every_way():
    seen = []
    for arguments in (
        (grpc.StatusCode.OK, "fine"),
        (grpc.StatusCode.NOT_FOUND, ""),
        (grpc.StatusCode.NOT_FOUND, "ünïcode 中文"),
        (grpc.StatusCode.NOT_FOUND, "line\nbreak\ttab"),
        (grpc.StatusCode.NOT_FOUND, None),
        (grpc.StatusCode.NOT_FOUND, b"bytes"),
        (5, "number"),
        (None, "nothing"),
        (),
    ):
        seen += [told("uu", lambda request, context, arguments=arguments: context.abort(*arguments))]
    return seen


@case
def abort_and_go_on():
    """`abort` raises; a handler may catch that, and even return."""

    def behavior(request, context):
        try:
            context.abort(grpc.StatusCode.NOT_FOUND, "mine")
        except Exception as error:  # noqa: BLE001 - what applications do
            return type(error).__qualname__.encode()

    def raising(request, context):
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("mine")
        raise ValueError("other")

    return [told("uu", behavior), told("uu", raising)]


@case
def aborts_of_streams():
    def first(request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "mine")
        yield request

    def later(request, context):
        yield request
        context.abort(grpc.StatusCode.NOT_FOUND, "mine")

    def raising(request, context):
        yield request
        raise ValueError("mine")

    def code(request, context):
        yield request
        context.set_code(grpc.StatusCode.DATA_LOSS)
        context.set_details("mine")

    def not_started(request, context):
        raise ValueError("mine")

    return [told("us", behavior) for behavior in (first, later, raising, code, not_started)]


@case
def results_of_wrong_type():
    """What is no bytes after serialization never leaves, and such a call ends at its deadline; neither does its server end."""
    seen = [told("uu", lambda request, context, result=result: result) for result in (None, b"")]
    seen += [told("us", lambda request, context, result=result: result) for result in (None, 5, [b"a"], iter(()))]
    return [seen, fresh(STUCK)]


@case
def handlers_of_wrong_shape():
    return [
        told("uu", lambda: None),
        told("uu", lambda request: request),
        told("uu", lambda request, context, more: request),
        told("uu", lambda request, context, more=1: request),
        told("us", echo),
        told("uu", None),
    ]


@case
def serializers_of_the_server():
    def bad(_):
        raise ValueError("mine")

    return [
        told("uu", lambda request, context: request.upper(), bytes.decode, str.encode),
        told("uu", echo, bad, None),
        told("uu", echo, None, bad),
        told("us", echoes, None, bad),
        told("uu", echo, None, lambda data: None),
    ]


@case
def status_is_read_back():
    seen = []

    def behavior(request, context):
        for name in ("code", "details", "trailing_metadata"):
            found = attempt(lambda name=name: str(getattr(context, name)()))
            seen.append(found[:2])
        context.set_code(grpc.StatusCode.ABORTED)
        context.set_details("mine")
        context.set_trailing_metadata((("k", "v"),))
        for name in ("code", "details", "trailing_metadata"):
            found = attempt(lambda name=name: str(getattr(context, name)()))
            seen.append(found)
        return request

    return [told("uu", behavior), seen]


@case
def generic_handlers_of_the_applications_own():
    seen = []

    class Generic(grpc.GenericRpcHandler):
        def service(self, details):
            seen.append([type(details).__qualname__, details.method, pairs(details.invocation_metadata)])
            if details.method.endswith("None"):
                return None
            if details.method.endswith("Raise"):
                raise ValueError("mine")
            return handler("uu", lambda request, context: details.method.encode())

    with Sync("uu", echo) as s:
        s.server.add_generic_rpc_handlers([Generic()])
        call = s.channel.unary_unary
        return [
            call("/any/Thing")(b"a").decode(),
            s.method(b"a").decode(),
            attempt(lambda: call("/any/None")(b"a"))[2:4],
            attempt(lambda: call("/any/Raise")(b"a"))[2:4],
            call("/odd")(b"a").decode(),
            seen,
        ]


@case
def handlers_that_are_objects_of_the_applications_own():
    class Mine(grpc.RpcMethodHandler):
        request_streaming = response_streaming = False
        request_deserializer = response_serializer = unary_stream = stream_unary = stream_stream = None

        def unary_unary(self, request, context):
            return request + type(self).__name__.encode()

    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[handlers(M=Mine())])
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        seen = channel.unary_unary("/t.S/M")(b"a").decode()
    server.stop(None).wait()
    return seen


@case
def registered_methods():
    with Sync("uu", echo) as s:
        if not hasattr(s.server, "add_registered_method_handlers"):
            return "not in this grpcio"
        s.server.add_registered_method_handlers("t.R", {"M": handler("uu", lambda request, context: b"registered")})
        return [
            attempt(lambda: s.channel.unary_unary("/t.R/M", _registered_method=True)(b"a"))[:4],
            attempt(lambda: s.channel.unary_unary("/t.R/M")(b"a"))[:4],
        ]


@case
def compression_of_the_server():
    def behavior(request, context):
        context.set_compression(grpc.Compression.Gzip)
        context.disable_next_message_compression()
        return request * 1000

    def stream(request, context):
        context.set_compression(grpc.Compression.Deflate)
        yield request * 1000
        context.disable_next_message_compression()
        yield request * 1000

    def bad(request, context):
        context.send_initial_metadata(())
        context.set_compression(grpc.Compression.Gzip)
        return request

    return [len(told("uu", behavior)), len(told("us", stream)[0]), told("uu", bad)]


@case
def answers_after_the_client_is_gone():
    asked, gone, over, seen = threading.Event(), threading.Event(), threading.Event(), []

    def behavior(request, context):
        context.add_callback(gone.set)
        yield request
        asked.set()
        gone.wait(30)
        seen.append([context.is_active(), str(attempt(lambda: context.send_initial_metadata(())))])
        over.set()
        yield request

    with Sync("us", behavior) as s:
        call = s.method(b"a")
        next(call)
        asked.wait(30)
        call.cancel()
        over.wait(30)
    return seen


@case
def stops_of_every_kind():
    seen = []
    for grace in (None, 0, 0.2, 30):
        begun, over = threading.Event(), threading.Event()

        def behavior(request, context, begun=begun, over=over):
            context.add_callback(over.set)
            begun.set()
            over.wait(0.1 if grace == 30 else 30)  # noqa: B023 - runs within this turn of the loop
            return request

        with Sync("uu", behavior) as s:
            future = s.method.future(b"a")
            begun.wait(30)
            stopped = s.server.stop(grace)
            seen.append(
                [type(stopped).__qualname__, stopped.wait(30), attempt(future.result)[:3][:1], str(future.code())]
            )
            seen.append([attempt(lambda s=s: s.method(b"a", timeout=30))[2], s.server.stop(None).wait(30)])
    return seen


@case
def calls_wait_for_a_thread():
    """More calls than threads: in order, one after the other, and none lost."""
    order, lock = [], threading.Lock()

    def behavior(request, context):
        with lock:
            order.append(request)
        return request

    with Sync("uu", behavior, pool=1) as s:
        calls = [s.method.future(b"%d" % number) for number in range(30)]
        return [sorted(call.result().decode() for call in calls), len(order)]


@case
def executors_of_the_applications_own():
    ran = []

    class Pool(futures.ThreadPoolExecutor):
        def submit(self, function, *args, **kwargs):
            ran.append(getattr(function, "__name__", "?"))
            return super().submit(function, *args, **kwargs)

    server = grpc.server(Pool(2), [handlers(M=handler("us", echoes))])
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        got = len(list(channel.unary_stream("/t.S/M")(b"a")))
    server.stop(None).wait()
    return [got, sorted(set(ran))]


@case
def servers_that_are_made_wrongly():
    pool = futures.ThreadPoolExecutor(1)
    return [
        attempt(lambda make=make: type(make()).__qualname__)[:3]
        for make in (
            lambda: grpc.server(None),
            lambda: grpc.server(pool, 5),
            lambda: grpc.server(pool, handlers=[5]),
            lambda: grpc.server(pool, options=5),
            lambda: grpc.server(pool, nonsense=1),
            lambda: grpc.server(pool).add_insecure_port("nonsense:x:y"),
            lambda: grpc.server(pool, compression=5),
        )
    ] + [names(grpc.server(pool))]
