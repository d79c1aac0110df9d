"""Interceptors of the application's own, sync, on both sides: they run as they did, in the order that they did."""

import grpc

from tests.bootstrap.transparency.bench import Sync, attempt, bidi, case, echo, echoes, handler, names, pairs


class Details(grpc.ClientCallDetails):
    """The application's own details, as every tutorial makes them."""

    def __init__(self, given, **changed):
        for name in ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression"):
            setattr(self, name, changed.get(name, getattr(given, name, None)))


class Everything(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Notes what it sees; *change* may give other details."""

    def __init__(self, log, change=lambda details: details):
        self.log = log
        self.change = change

    def note(self, continuation, details, request):
        self.log.append([type(details).__qualname__, str(details.method), pairs(details.metadata), details.timeout])
        result = continuation(self.change(details), request)
        self.log.append([type(result).__qualname__, names(result)])
        return result

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept_stream_stream = note


def joined(requests, context):
    return b"".join(requests)


def call(channel, kind, **options):
    maker = {"uu": "unary_unary", "us": "unary_stream", "su": "stream_unary", "ss": "stream_stream"}[kind]
    answer = getattr(channel, maker)("/t.S/M")(b"a" if kind[0] == "u" else iter([b"a", b"b"]), **options)
    return answer if kind[1] == "u" else list(answer)


KINDS = (("uu", echo), ("us", echoes), ("su", joined), ("ss", bidi))


@case
def interceptor_of_all_four_kinds():
    seen = []
    for kind, behavior in KINDS:
        log = []
        with Sync(kind, behavior) as s:
            channel = grpc.intercept_channel(s.channel, Everything(log))
            seen.append([call(channel, kind, metadata=(("k", "v"),), timeout=30), log])
    return seen


@case
def interceptor_with_details_of_its_own():
    seen = []

    def spy(request, context):
        seen.append(pairs(context.invocation_metadata()))
        return request

    def change(details):
        return Details(details, metadata=[*(details.metadata or ()), ("added", "1"), ("added", "2")], timeout=30)

    with Sync("uu", spy) as s:
        channel = grpc.intercept_channel(s.channel, Everything([], change), Everything([], change))
        return [call(channel, "uu"), call(channel, "uu", metadata=(("k", "v"),)), seen]


@case
def interceptor_that_changes_the_method():
    log = []
    with Sync("uu", echo) as s:
        channel = grpc.intercept_channel(s.channel, Everything(log, lambda given: Details(given, method="/t.S/Other")))
        return [attempt(lambda: call(channel, "uu"))[2:4], log[0]]


@case
def interceptor_that_answers_itself():
    class Answering(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            return b"mine"

    with Sync("uu", echo) as s:
        channel = grpc.intercept_channel(s.channel, Answering())
        method = channel.unary_unary("/t.S/M")
        return [attempt(lambda way=way: way(b"a")) for way in (method, method.with_call, method.future)]


@case
def interceptor_that_raises():
    class Raising(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            continuation(details, request)
            raise KeyError("mine")

        def intercept_unary_stream(self, continuation, details, request):
            raise KeyError("mine")

    with Sync("uu", echo) as s:
        channel = grpc.intercept_channel(s.channel, Raising())
        method = channel.unary_unary("/t.S/M")
        return [
            attempt(lambda: method(b"a"))[:4],
            attempt(lambda: method.future(b"a").result())[:4],
            attempt(lambda: list(channel.unary_stream("/t.S/M")(b"a")))[:4],
        ]


@case
def interceptor_that_retries():
    tries = []

    def behavior(request, context):
        tries.append(pairs(context.invocation_metadata()))
        if len(tries) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "again")
        return request

    class Retrying(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, details, request):
            for _ in range(4):
                result = continuation(details, request)
                if result.code() is not grpc.StatusCode.UNAVAILABLE:
                    return result
            return result

    with Sync("uu", behavior) as s:
        return [call(grpc.intercept_channel(s.channel, Retrying()), "uu", metadata=[("k", "v")]), tries]


@case
def order_of_interceptors():
    log = []

    class Named(grpc.UnaryUnaryClientInterceptor):
        def __init__(self, name):
            self.name = name

        def intercept_unary_unary(self, continuation, details, request):
            log.append(self.name)
            answer = continuation(details, request + self.name.encode())
            log.append(self.name)
            return answer

    with Sync("uu", echo) as s:
        channel = grpc.intercept_channel(grpc.intercept_channel(s.channel, Named("1"), Named("2")), Named("3"))
        return [call(channel, "uu"), log, type(channel).__qualname__]


@case
def intercept_channel_with_what_it_refuses():
    with Sync("uu", echo) as s:
        none = grpc.intercept_channel(s.channel)
        return [
            none is s.channel,
            attempt(lambda: grpc.intercept_channel(s.channel, 5)),
            attempt(lambda: grpc.intercept_channel(s.channel, grpc.ServerInterceptor)),
        ]


@case
def intercepted_channel_as_a_channel():
    with Sync("uu", echo) as s, grpc.intercept_channel(s.channel, Everything([])) as channel:
        grpc.channel_ready_future(channel).result(timeout=30)
        return [type(channel).__qualname__, names(channel), isinstance(channel, grpc.Channel), call(channel, "uu")]


def wrapping(change):
    class Wrapping(grpc.ServerInterceptor):
        def intercept_service(self, continuation, details):
            return change(continuation, details)

    return Wrapping()


@case
def server_interceptors_that_wrap():
    order = []

    def outer(name):
        def change(continuation, details):
            found = continuation(details)

            def behavior(request, context):
                order.append(name)
                return found.unary_unary(request + name.encode(), context)

            return grpc.unary_unary_rpc_method_handler(behavior, found.request_deserializer, found.response_serializer)

        return wrapping(change)

    with Sync("uu", echo, interceptors=(outer("1"), outer("2"))) as s:
        return [s.method(b"a").decode(), order]


@case
def server_interceptors_that_refuse():
    def abort(request, context):
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "mine")

    def raising(continuation, details):
        raise ValueError("mine")

    seen = []
    for change in (
        lambda continuation, details: None,
        lambda continuation, details: handler("uu", abort),
        raising,
    ):
        with Sync("uu", echo, interceptors=[wrapping(change)]) as s:
            seen.append(attempt(lambda s=s: s.method(b"a", timeout=30))[2:4])
    return seen


@case
def server_interceptors_see_the_details():
    seen = []

    def look(continuation, details):
        seen.append([type(details).__qualname__, [base.__qualname__ for base in type(details).__mro__]])
        seen.append(
            [details.method, pairs(details.invocation_metadata), type(details.invocation_metadata).__qualname__]
        )
        return continuation(details)

    with Sync("uu", echo, interceptors=[wrapping(look)]) as s:
        s.method(b"a", metadata=(("k", "v"), ("k", "w")))
        attempt(lambda: s.channel.unary_unary("/t.S/Missing")(b"a"))
    return seen
