"""opentelemetry-api and nothing else: manual spans of all sorts, in handlers of all sorts. Prints what the application sees; never fails."""

import asyncio
import contextvars
import json
import logging
import sys
import threading
from concurrent import futures

import grpc
import grpc.aio
from opentelemetry import baggage, context, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")  # what the API has to complain about, for one
tracer = trace.get_tracer("shop", "1.2")
seen = {}


class UnspeakableError(Exception):
    def __str__(self):
        raise ValueError("no text")


def fail(error):
    raise error


def server_span(request, context):
    """Everything that can be said about the span of this very call."""
    span = trace.get_current_span()
    seen["recording"] = span.is_recording()
    seen["server"] = f"{span.get_span_context().span_id:016x}"
    span.set_attribute("app.key", "value")
    span.set_attributes({"app.many": 2, "rpc.method": "ours stays"})
    span.add_event("cache miss", {"n": 1})
    span.record_exception(ValueError("handled"))
    if hasattr(span, "add_link"):
        span.add_link(trace.SpanContext(1, 2, False), {"why": "test"})
    span.update_name("Pay/renamed")
    span.set_status(Status(StatusCode.ERROR, "declined"))
    seen["kept"] = span
    return request


def status_ok(request, context):
    trace.get_current_span().set_status(StatusCode.OK)
    context.abort(grpc.StatusCode.INTERNAL, "known, and all right")


@tracer.start_as_current_span("decorated")
def decorated():
    trace.get_current_span().add_event("in here")


def spans(request, context):
    tags = ["a", "b"]
    with tracer.start_as_current_span(
        "attributes", attributes={"tags": tags, "n": 3, "ok": True, "none": None}
    ) as span:
        tags.append("later")
        span.set_status(StatusCode.OK, "no text for this one")
        span.set_status(StatusCode.ERROR, "too late")
        link = Link(trace.get_current_span().get_span_context(), {"why": "test"})
        with tracer.start_as_current_span("linked", kind=SpanKind.PRODUCER, links=[link]):
            pass
    try:
        with tracer.start_as_current_span("fails"):
            fail(KeyError("gone"))
    except KeyError:
        pass
    try:
        with tracer.start_as_current_span("fails silently", record_exception=False, set_status_on_exception=False):
            fail(KeyError("gone"))
    except KeyError:
        pass
    decorated()
    decorated()
    free = tracer.start_span("not current", start_time=1_000)
    seen["not current"] = trace.get_current_span() is free
    with trace.use_span(free), tracer.start_as_current_span("below what is used"):
        pass
    free.end(2_000)
    free.set_attribute("late", 1)
    free.end(3_000)
    with tracer.start_as_current_span("renamed") as span:
        span.update_name("new name")
    tracer.start_span("root", context=context_without_span()).end()
    with tracer.start_span("with itself"):
        pass
    steps = closed_elsewhere()
    contextvars.copy_context().run(next, steps)
    steps.close()  # in another context than it was begun in, as asyncio closes generators that are given up
    return request


def context_without_span():
    return context.Context()


def closed_elsewhere():
    with tracer.start_as_current_span("closed elsewhere"):
        yield


def mistakes(request, context):
    """What the API's own spans take without a word."""
    with tracer.start_as_current_span("mistaken") as span:
        span.set_attributes(None)
        span.add_event("event", 5)
        span.add_link(None) if hasattr(span, "add_link") else None
        span.set_status(None)
        span.record_exception(UnspeakableError())
        span.set_attribute(["unhashable"], 1)
    tracer.start_span("not startable", links=5).end()
    try:
        with tracer.start_as_current_span("raises the unspeakable"):
            fail(UnspeakableError())
    except UnspeakableError:
        seen["unspeakable"] = True
    return request


def threads(request, context):
    def child(name):
        with tracer.start_as_current_span(name):
            pass

    copied = contextvars.copy_context()
    for one in (
        threading.Thread(target=child, args=("in a bare thread",)),
        threading.Thread(target=copied.run, args=(child, "in a thread with the context")),
    ):
        one.start()
        one.join()
    with tracer.start_as_current_span("around a call"):
        grpc.insecure_channel(target["sync"]).unary_unary("/test.Shop/Baggage")(b"")
    return request


def generator(request, context):
    kept = trace.get_current_span()
    with tracer.start_as_current_span("whole stream"):
        for number in range(2):
            with tracer.start_as_current_span("step", attributes={"number": number}):
                yield request
    kept.add_event("end of the stream")


def endless(request, context):
    with tracer.start_as_current_span("endless"):
        while context.is_active():
            yield request


def carry(request, context_):
    seen["came"] = dict(baggage.get_all())
    call = grpc.insecure_channel(target["sync"]).unary_unary("/test.Shop/Baggage")
    untouched = call(b"").decode()
    token = context.attach(baggage.set_baggage("own", "x"))
    changed = call(b"").decode()
    context.detach(token)
    token = context.attach(baggage.clear())
    cleared = call(b"").decode()
    context.detach(token)
    seen["baggage"] = [untouched, changed, cleared]
    return request


def show_baggage(request, context):
    return dict(context.invocation_metadata()).get("baggage", "").encode()


async def aio_endless(request, context):
    with tracer.start_as_current_span("endless"):
        while True:
            await asyncio.sleep(0.001)
            yield request


async def aio_generator(request, context):
    kept = trace.get_current_span()
    with tracer.start_as_current_span("whole stream"):
        for number in range(2):
            with tracer.start_as_current_span("step", attributes={"number": number}):
                await asyncio.sleep(0)
                yield request
    kept.add_event("end of the stream")


async def aio_unary(request, context):
    async def part(name):
        with tracer.start_as_current_span(name):
            await asyncio.sleep(0.001)

    await asyncio.gather(part("left"), part("right"))
    return request


def handlers(service, generator, endless, unary):
    found = {
        "Generator": grpc.unary_stream_rpc_method_handler(generator),
        "Endless": grpc.unary_stream_rpc_method_handler(endless),
        "Baggage": grpc.unary_unary_rpc_method_handler(show_baggage),
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
    }
    for name in ("server_span", "status_ok", "spans", "mistakes", "threads", "carry"):
        found[name] = grpc.unary_unary_rpc_method_handler(globals()[name])
    return grpc.method_handlers_generic_handler(service, found)


def sync():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((handlers("test.Shop", generator, endless, spans),))
    target["sync"] = f"localhost:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with grpc.insecure_channel(target["sync"]) as channel:
        for name in ("server_span", "spans", "mistakes", "threads"):
            channel.unary_unary(f"/test.Shop/{name}")(b"")
        try:
            channel.unary_unary("/test.Shop/status_ok")(b"")
        except grpc.RpcError as error:
            seen["status_ok"] = error.details()
        with tracer.start_as_current_span("above"):
            channel.unary_unary("/test.Shop/carry")(b"", metadata=(("baggage", "user=a%20b;secret,broken"),))
        seen["stream"] = len(list(channel.unary_stream("/test.Shop/Generator")(b"")))
        call = channel.unary_stream("/test.Shop/Endless")(b"")
        next(call)
        call.cancel()
        token = context.attach(baggage.set_baggage("from", "root"))
        seen["root baggage"] = channel.unary_unary("/test.Shop/Baggage")(b"").decode()
        context.detach(token)
    server.stop(None).wait()
    span = seen.pop("kept")
    seen["recording after"] = span.is_recording()
    span.set_attribute("late", 1)
    span.end()


async def aio():
    server = grpc.aio.server()
    plain = handlers("test.Plain", generator, endless, spans)  # of the same names, in grpc's own threads
    server.add_generic_rpc_handlers((handlers("test.Aio", aio_generator, aio_endless, aio_unary), plain))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        for service in ("Aio", "Plain"):
            await channel.unary_unary(f"/test.{service}/Unary")(b"")
            seen[service] = len([m async for m in channel.unary_stream(f"/test.{service}/Generator")(b"")])
        call = channel.unary_stream("/test.Aio/Endless")(b"")
        await call.read()
        call.cancel()
    await server.stop(None)


target = {}
sync()
asyncio.run(aio())
print(json.dumps(seen))
