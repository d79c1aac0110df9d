"""What is told of messages (`messages: Events`, `Never`) and of the response's metadata, at all four hooks."""

from collections import Counter
from pathlib import Path

import pytest

from tests.bootstrap.live import Mounted
from tests.bootstrap.process import run, start, using_apps, wait
from tests.bootstrap.test_calls import TRAFFIC

PLAIN, ANSWERS = Path("plain.py"), Path("answers.py")
STACKS = pytest.mark.parametrize("stack", ["sync", "aio"])
COUNTS = {f"grpctracing.{what}.{way}" for what in ("messages", "bytes") for way in ("sent", "received")}


@STACKS
def test_events_tell_each_message_in_its_order(receiver, tmp_path, stack):
    run(PLAIN, "both", stack, payload=Mounted(tmp_path, messages="Events").path, endpoint=receiver.endpoint)
    for kind, (request, response) in TRAFFIC.items():
        for side, ways in (("CLIENT", (request, response)), ("SERVER", (response, request))):
            span = receiver.one(side, f"test.Echo/{kind}")
            assert {name for name, _ in span.events} == {"rpc.message"}
            for way, (number, size) in zip(("SENT", "RECEIVED"), ways, strict=True):
                told = [found for _, found in span.events if found["rpc.message.type"] == way]
                assert [found["rpc.message.id"] for found in told] == list(range(1, number + 1))
                assert sum(found["rpc.message.uncompressed_size"] for found in told) == size
            assert set(span.attributes) >= COUNTS


MANY = using_apps("""
import asyncio, sys
import grpc, plain
def many(request, context):
    yield from [b"x"] * 200
async def aio_many(request, context):
    for _ in range(200):
        await context.write(b"x")
def handlers(behavior):
    return (grpc.method_handlers_generic_handler("test.Many", {"US": grpc.unary_stream_rpc_method_handler(behavior)}),)
def sync():
    server = grpc.server(plain.futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(handlers(many))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(len(list(grpc.insecure_channel("localhost:%d" % port).unary_stream("/test.Many/US")(b"a"))))
    server.stop(None).wait()
async def aio():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers(aio_many))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel("localhost:%d" % port) as channel:
        print(len([one async for one in channel.unary_stream("/test.Many/US")(b"a")]))
    await server.stop(None)
sync() if sys.argv[1] == "sync" else asyncio.run(aio())
""")


@STACKS
@pytest.mark.parametrize(("limit", "most"), [("", 128), ("5", 5), ("0", 0)])
def test_events_are_bounded_and_messages_counted_all_the_same(receiver, tmp_path, stack, limit, most):
    path = Mounted(tmp_path, messages="Events").path
    done = run(MANY, stack, payload=path, endpoint=receiver.endpoint, OTEL_SPAN_EVENT_COUNT_LIMIT=limit)
    assert done.out == "200\n"
    for side, way in (("CLIENT", "received"), ("SERVER", "sent")):
        span = receiver.one(side, "test.Many/US")
        assert (len(span.events), span.attributes[f"grpctracing.messages.{way}"]) == (most, 200)


@STACKS
def test_never_tells_nothing_of_messages(receiver, tmp_path, stack):
    run(PLAIN, "both", stack, payload=Mounted(tmp_path, messages="Never").path, endpoint=receiver.endpoint)
    receiver.wait_for(lambda spans: len(spans) == 2 * len(TRAFFIC))
    for span in receiver.spans:
        assert (span.code, span.events, COUNTS & set(span.attributes)) == ("OK", [], set())


SHARED = using_apps("""
import grpc, plain
from concurrent.futures import ThreadPoolExecutor
server = grpc.server(ThreadPoolExecutor(8))
handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request * 2)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Shared", {"UU": handler}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
def written(number):
    if number % 10 == 0:
        shared(number + 1)  # a call within a call
    return b"x" * number
shared = grpc.insecure_channel("localhost:%d" % port).unary_unary("/test.Shared/UU", written)
with ThreadPoolExecutor(8) as pool:
    list(pool.map(shared, range(10, 410, 10)))
shared._request_serializer = bytes
shared(200)
server.stop(None).wait()
""")


def test_one_multicallable_shared_by_many_calls_counts_for_each_of_them(receiver):
    run(SHARED, endpoint=receiver.endpoint)
    sizes = sorted([*range(10, 410, 10), *range(11, 411, 10), 200])
    receiver.wait_for(lambda spans: len(spans) == 2 * len(sizes))
    for kind, sent, received in (("CLIENT", 1, 2), ("SERVER", 2, 1)):
        told = [span.attributes for span in receiver.spans if span.kind == kind]
        ways = {"sent": sent, "received": received}
        for way, times in ways.items():
            assert sorted(one[f"grpctracing.bytes.{way}"] for one in told) == [size * times for size in sizes]
        assert all(one["grpctracing.bytes.sent"] * received == one["grpctracing.bytes.received"] * sent for one in told)


CODECS = using_apps("""
import asyncio, sys
import grpc, plain
stack, failing = sys.argv[1:]
def codec(name):
    def code(data):
        callers.add(sys._getframe(1).f_code.co_filename.rpartition("/")[2])
        if name == failing:
            raise ValueError("codec")
        return data
    return code
callers = set()
client = {"request_serializer": codec("client out"), "response_deserializer": codec("client in")}
server_side = {"request_deserializer": codec("server in"), "response_serializer": codec("server out")}
async def behavior(request, context):
    return request
def handlers(behavior):
    return (grpc.method_handlers_generic_handler("test.Codec", {"UU": grpc.unary_unary_rpc_method_handler(behavior, **server_side)}),)
def sync():
    server = grpc.server(plain.futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(handlers(lambda request, context: request))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        grpc.insecure_channel("localhost:%d" % port).unary_unary("/test.Codec/UU", **client)(b"a")
    except Exception:
        pass
    server.stop(None).wait()
async def aio():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers(behavior))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel("localhost:%d" % port) as channel:
        try:
            await channel.unary_unary("/test.Codec/UU", **client)(b"a")
        except Exception:
            pass
    await server.stop(None)
sync() if stack == "sync" else asyncio.run(aio())
print(sorted(callers & {"call.py"}))
""")


@STACKS
@pytest.mark.parametrize("failing", ["client out", "client in", "server in", "server out"])
def test_never_tells_endings_as_sizes_does(receiver, tmp_path, stack, failing):
    """Whatever fails to (de)serialize, although nobody looks on."""
    endings = {}
    processes = {}
    for messages in ("Sizes", "Never"):
        path = Mounted(tmp_path / messages, messages=messages).path
        processes[messages] = start(
            CODECS, stack, failing, payload=path, endpoint=receiver.endpoint, OTEL_SERVICE_NAME=messages
        )
    for messages, process in processes.items():
        assert wait(process).code == 0
        told = [span for span in receiver.spans if span.service == messages]
        endings[messages] = Counter((span.kind, span.code, span.status, span.message) for span in told)
    assert endings["Never"] == endings["Sizes"]
    assert endings["Never"]


@pytest.mark.parametrize("messages", ["Sizes", "Never"])
def test_never_leaves_the_applications_serializers_alone(tmp_path, messages):
    path = Mounted(tmp_path, messages=messages).path
    assert run(CODECS, "sync", "", payload=path).out == ("['call.py']\n" if messages == "Sizes" else "[]\n")


@STACKS
def test_the_responses_metadata_is_captured_without_credentials(receiver, tmp_path, stack):
    captured = {"response": ["X-Cost", "x-shard", "authorization", "x-bin", "x-missing"]}
    path = Mounted(tmp_path, capturedMetadata=captured).path
    told = run(ANSWERS, stack, payload=path, endpoint=receiver.endpoint)
    assert told.out == run(ANSWERS, stack, payload=None).out
    (line,) = told.err.splitlines()
    assert (
        line == "grpctracing: settings.json: capturedMetadata.response: 'authorization' carries credentials; left out"
    )
    receiver.wait_for(lambda spans: len(spans) == 2 * told.out.count("StatusCode") + 2 * told.out.count(" call "))
    for span in receiver.spans:
        found = {key: values for key, values in span.attributes.items() if key.startswith("rpc.response.metadata.")}
        costs = ["2"] if (stack, span.kind) == ("aio", "SERVER") else ["1", "2"]
        assert found == {"rpc.response.metadata.x-cost": costs, "rpc.response.metadata.x-shard": ["a", "b"]}, span
