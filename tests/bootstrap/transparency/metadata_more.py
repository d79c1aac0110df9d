"""Metadata in both directions: order, duplicates, binary, odd values, and what the application may do to it."""

import collections

import grpc

from tests.bootstrap.transparency.bench import Sync, attempt, bidi, case, echo, echoes, fresh, pairs, spy_metadata

GIVEN = (("z", "1"), ("a", "2"), ("z", "0"), ("a-bin", b"\x00\x01\xff"), ("z", "1"), ("a-bin", b""), ("empty", ""))


@case
def metadata_reaches_every_kind_of_server():
    seen = []

    def unary(first, context):
        seen.append(pairs(context.invocation_metadata()))
        return b"".join([first] if isinstance(first, bytes) else first)

    def stream(first, context):
        yield unary(first, context)

    for kind in ("uu", "us", "su", "ss"):
        with Sync(kind, unary if kind[1] == "u" else stream) as s:
            answer = s.method(b"a" if kind[0] == "u" else iter([b"a"]), metadata=GIVEN)
            seen.append(answer.decode() if kind[1] == "u" else [m.decode() for m in answer])
    return seen


@case
def metadata_in_every_way_to_call():
    seen = []
    with Sync("uu", spy_metadata(seen)) as s:
        s.method(b"a", metadata=GIVEN)
        s.method.with_call(b"a", metadata=list(GIVEN))
        s.method.future(b"a", metadata=iter(GIVEN)).result()
        s.method(b"a", 60, list(GIVEN), None, False, None)
    return seen


@case
def answers_with_metadata():
    def behavior(request, context):
        context.send_initial_metadata(GIVEN)
        context.set_trailing_metadata(list(GIVEN))
        return request

    def stream(request, context):
        context.send_initial_metadata(list(GIVEN))
        yield request
        context.set_trailing_metadata(GIVEN)

    with Sync("uu", behavior) as s:
        call = s.method.with_call(b"a")[1]
        seen = [
            pairs(call.initial_metadata()),
            pairs(call.trailing_metadata()),
            type(call.trailing_metadata()).__name__,
        ]
    with Sync("us", stream) as s:
        call = s.method(b"a")
        first = pairs(call.initial_metadata())
        list(call)
        return [seen, first, pairs(call.trailing_metadata())]


@case
def types_of_received_metadata():
    seen = []

    def behavior(request, context):
        found = context.invocation_metadata()
        seen.append([type(found).__qualname__, sorted({type(pair).__qualname__ for pair in found})])
        seen.append([found[0].key == found[0][0], len(found[0])])
        return request

    with Sync("uu", behavior) as s:
        call = s.method.with_call(b"a", metadata=GIVEN)[1]
        return [seen, type(call.initial_metadata()).__qualname__, type(call.trailing_metadata()).__qualname__]


@case
def initial_metadata_sent_twice():
    def behavior(request, context):
        context.send_initial_metadata((("a", "1"),))
        context.send_initial_metadata((("b", "1"),))
        return request

    with Sync("uu", behavior) as s:
        return attempt(lambda: s.method(b"a"))[2:4]


@case
def trailing_metadata_set_more_than_once():
    def behavior(request, context):
        context.set_trailing_metadata((("a", "1"),))
        context.set_trailing_metadata((("b", "2"), ("b", "3")))
        return str(context.trailing_metadata() if hasattr(context, "trailing_metadata") else "").encode()

    with Sync("uu", behavior) as s:
        response, call = s.method.with_call(b"a")
        return [response.decode(), pairs(call.trailing_metadata())]


@case
def wrong_metadata_of_servers():
    """Some is refused when it is set; with some the status cannot be sent, grpc says so on stderr, and the client waits for its deadline."""
    return fresh("""
        import os, sys
        from tests.bootstrap.transparency.bench import Sync, attempt
        kept = []
        for given in ((("A", "1"),), (("a", 1),), 5):
            def behavior(request, context, given=given):
                context.set_trailing_metadata(given)
                return request

            kept.append(Sync("uu", behavior).__enter__())
            print(attempt(lambda: kept[-1].method(b"a", timeout=0.5))[2:4], flush=True)
        os._exit(0)  # such a call never ends, and neither does its server
    """)


@case
def pairs_of_any_type():
    seen = []
    pair = collections.namedtuple("pair", "key value")  # noqa: PYI024 - what applications use
    with Sync("uu", spy_metadata(seen)) as s:
        for given in (
            [["a", "1"], ["b", "2"]],
            [pair("a", "1")],
            {("a", "1"): None},
            {("a", "1"), ("a", "1")},
            collections.deque([("a", "1")]),
            map(tuple, (["a", "1"],)),
            [("a", b"bytes")],
            [(b"a", b"1")],
            collections.OrderedDict(a="1").items(),
        ):
            seen += [attempt(lambda given=given: s.method(b"a", metadata=given).decode())[:1]]
    return seen


@case
def metadata_of_the_application_is_not_changed():
    with Sync("uu", echo) as s:
        mine, inner = [["a", "1"]], ("b", "2")
        mine.append(inner)
        s.method(b"a", metadata=mine)
        s.method.future(b"a", metadata=mine).result()
        once = iter([("a", "1")])
        s.method(b"a", metadata=once)
        return [mine == [["a", "1"], ("b", "2")], mine[1] is inner, list(once)]


@case
def too_much_metadata():
    with Sync("uu", echo) as s:
        error = attempt(
            lambda: s.method(b"a", metadata=[(f"k{number}", "v" * 1000) for number in range(30)], timeout=30)
        )
        return error[:3] if isinstance(error, list) else error.decode()


@case
def reserved_and_special_keys():
    seen = []
    with Sync("uu", spy_metadata(seen)) as s:
        for key, value in (
            ("grpc-mine", "1"),
            (":authority", "x"),
            ("content-type", "text/plain"),
            ("te", "x"),
            ("user-agent", "mine"),
            ("grpc-timeout", "1S"),
            ("x.y_z-0", "1"),
            ("a b", "1"),
            ("", "1"),
            ("k", "a, b,c"),
            ("k", " padded "),
            ("k", "line\nbreak"),
        ):
            answer = attempt(lambda key=key, value=value: s.method(b"a", metadata=((key, value),), timeout=5))
            seen.append(answer.decode() if isinstance(answer, bytes) else answer[:4])
    return seen


@case
def tracing_headers_of_others_go_through():
    seen = []
    headers = (
        ("x-b3-traceid", "1" * 32),
        ("b3", "0"),
        ("x-request-id", "7"),
        ("grpc-trace-bin", b"\x00"),
        ("uber-trace-id", "1:2:3:1"),
    )
    with Sync("uu", spy_metadata(seen)) as s:
        s.method(b"a", metadata=headers)
    return seen


@case
def metadata_of_streams_is_sent_before_a_message():
    with Sync("ss", bidi) as s:
        call = s.method(iter([b"a"]), metadata=GIVEN)
        first = pairs(call.initial_metadata())
        return [first, [m.decode() for m in call], pairs(call.trailing_metadata())]


@case
def errors_carry_metadata():
    def behavior(request, context):
        context.send_initial_metadata((("i", "1"),))
        context.set_trailing_metadata(GIVEN)
        context.abort(grpc.StatusCode.ABORTED, "mine")

    with Sync("uu", behavior) as s:
        try:
            s.method(b"a")
        except grpc.RpcError as error:
            return [pairs(error.initial_metadata()), pairs(error.trailing_metadata()), error.details()]


@case
def context_in_the_metadata_is_the_only_addition():
    """What a server sees beyond the given pairs: grpc's user agent, and the trace context as documented."""
    seen = []

    def behavior(request, context):
        seen.append(sorted({key for key, _ in context.invocation_metadata()} - {"traceparent", "tracestate"}))
        return request

    with Sync("uu", behavior) as s:
        s.method(b"a", metadata=(("k", "v"),))
        s.method(b"a")
    with Sync("us", echoes) as s:
        list(s.method(b"a"))
    return seen
