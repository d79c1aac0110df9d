"""An SDK of the application's own, sync and asyncio, set up when argv says: before the first call, after the server and the channel exist, during the first call,
or with a sampler that says no. Prints the spans that its exporter got."""

import asyncio
import json
import sys
from concurrent import futures

import grpc
import grpc.aio
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

how = sys.argv[1]
exporter = InMemorySpanExporter()
tracer = trace.get_tracer("shop")
seen, target = [], {}


def set_up():
    if not seen:
        seen.append("set up")
        sampler = sampling.ALWAYS_OFF if how == "unsampled" else sampling.ALWAYS_ON
        provider = TracerProvider(resource=Resource({"service.name": "own"}), sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)


def pay(request, context):
    if how == "during":
        set_up()
    trace.get_current_span().set_attribute("app.key", "value")
    with tracer.start_as_current_span("inside"):
        return grpc.insecure_channel(target["sync"]).unary_unary("/test.Shop/Stock")(request)


def stock(request, context):
    if how == "unsampled":
        sampled = int(dict(context.invocation_metadata())["traceparent"][-2:], 16) & 1
        context.abort(grpc.StatusCode.INTERNAL, f"sampled: {sampled}")
    return request


async def aio_pay(request, context):
    with tracer.start_as_current_span("inside"):
        async with grpc.aio.insecure_channel(target["aio"]) as channel:
            return await channel.unary_unary("/test.Aio/Stock")(request)


async def aio_stock(request, context):
    await asyncio.sleep(0)
    return request


def handlers(service, pay, stock):
    found = {"Pay": grpc.unary_unary_rpc_method_handler(pay), "Stock": grpc.unary_unary_rpc_method_handler(stock)}
    return grpc.method_handlers_generic_handler(service, found)


async def aio():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers("test.Aio", aio_pay, aio_stock),))
    target["aio"] = f"localhost:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    async with grpc.aio.insecure_channel(target["aio"]) as channel:
        await channel.unary_unary("/test.Aio/Pay")(b"x")
    await server.stop(None)


if how in {"before", "unsampled"}:
    set_up()
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((handlers("test.Shop", pay, stock),))
target["sync"] = f"localhost:{server.add_insecure_port('127.0.0.1:0')}"
server.start()
call = grpc.insecure_channel(target["sync"]).unary_unary("/test.Shop/Pay")
if how == "after":
    set_up()
try:
    call(b"x")
    if how == "during":
        call(b"x")
except grpc.RpcError as error:
    seen.append(error.details())
server.stop(None).wait()
asyncio.run(aio())
spans = [
    [
        f"{span.kind.name} {span.name}",
        f"{span.context.span_id:016x}",
        f"{span.parent.span_id:016x}" if span.parent else "",
        f"{span.context.trace_id:032x}",
        dict(span.attributes),
    ]
    for span in exporter.get_finished_spans()
]
print(json.dumps({"spans": spans, "seen": seen}))
