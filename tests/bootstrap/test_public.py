"""The path behind the hooks: what is traced through grpc's public interface where its internals do not fit, or where somebody asks for that."""

import functools
from pathlib import Path

import pytest

from scripts import matrix
from tests.bootstrap.process import PAYLOAD, run, using_apps
from tests.bootstrap.test_calls import TRAFFIC

PLAIN = Path("plain.py")
# Changes the module *name* once it is executed; one that is there already at once.
CHANGE = """
import sys, runpy
class Changes:
    def __init__(self, name, change):
        self.name, self.change = name, change
        if name in sys.modules:
            change(sys.modules[name])
        else:
            sys.meta_path.insert(1, self)  # behind the finder of ours that waits for it
    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec
        spec = find_spec(name)
        run = spec.loader.exec_module
        def changed(module):
            run(module)
            self.change(module)
        spec.loader.exec_module = changed
        return spec
def other(owner, name):
    original = getattr(owner, name)
    setattr(owner, name, lambda *args, **kwargs: original(*args, **kwargs))
def lost(owner, name):
    delattr(owner, name)
"""
TRAFFIC_OF = """
sys.argv = ["plain.py", "both", "{stack}"]
runpy.run_path("{file}", run_name="__main__")
"""
# What no longer fits, for each side: the stack, the module, how it changed.
BROKEN = {
    "sync client": ("sync", "grpc._channel", 'other(module._UnaryUnaryMultiCallable, "with_call")'),
    "sync client without a method": ("sync", "grpc._channel", 'lost(module._StreamUnaryMultiCallable, "with_call")'),
    "sync server": ("sync", "grpc._server", 'other(module, "_status")'),
    "sync server without a function": ("sync", "grpc._server", 'lost(module, "_reject_rpc")'),
    "asyncio client": ("aio", "grpc.aio._call", 'other(module.StreamStreamCall, "__init__")'),
    "asyncio server": ("aio", "grpc.aio._server", 'other(module.Server, "stop")'),
}


def traffic(stack):
    return TRAFFIC_OF.format(stack=stack, file=Path(__file__).parent / "apps" / "plain.py")


@functools.cache
def plain(stack):
    return run(PLAIN, "both", stack, payload=None)


def all_told(receiver):
    """Assert that each kind of call is told once on each side, in one trace, with what it carried."""
    for kind, (sent, received) in TRAFFIC.items():
        outer, inner = receiver.one("CLIENT", f"test.Echo/{kind}"), receiver.one("SERVER", f"test.Echo/{kind}")
        assert (inner.trace, inner.parent) == (outer.trace, outer.id)
        for span, (out, back) in ((outer, (sent, received)), (inner, (received, sent))):
            count = span.attributes.get
            assert (count("grpctracing.messages.sent"), count("grpctracing.bytes.sent")) == out
            assert (count("grpctracing.messages.received"), count("grpctracing.bytes.received")) == back
        assert outer.attributes["server.address"] == "localhost"
        assert inner.attributes["network.peer.address"] == "127.0.0.1"
    assert len(receiver.spans) == 2 * len(TRAFFIC)


@pytest.mark.parametrize("what", BROKEN)
def test_internals_that_do_not_fit(receiver, what):
    stack, name, change = BROKEN[what]
    code = f"{CHANGE}\nimport grpc\nChanges({name!r}, lambda module: {change})\n{traffic(stack)}"
    ended = run(code, endpoint=receiver.endpoint, GRPCTRACING_LOG="info")
    assert ended.out == plain(stack).out
    assert ended.err.count("through its public interface: ") == 1
    assert name in ended.err
    all_told(receiver)


# grpc's own modules as they could be some day, by their source: attributes of other names.
RENAMED = """
import sys, runpy
from importlib.machinery import PathFinder
NAMES = {"grpc._channel": ("self._method", "self._state"), "grpc._server": ("statused",), "grpc.aio._call": ("_cython_call",)}
class Renames:
    def find_spec(self, name, path=None, target=None):
        if name not in NAMES:
            return None
        spec = PathFinder.find_spec(name, path)
        source = spec.loader.get_data(spec.origin).decode()
        for attribute in NAMES[name]:
            source = source.replace(attribute, attribute + "_now")
        spec.loader.get_code = lambda _: compile(source, spec.origin, "exec")
        return spec
sys.meta_path.insert(0, Renames())
"""


@pytest.mark.parametrize(
    ("stack", "changed"), [("sync", ["grpc._channel", "grpc._server"]), ("aio", ["grpc.aio._call"])]
)
def test_attributes_of_other_names(receiver, stack, changed):
    ended = run(RENAMED + traffic(stack), endpoint=receiver.endpoint, GRPCTRACING_LOG="info")
    assert ended.out == plain(stack).out
    told = [line for line in ended.err.splitlines() if " through its public interface: " in line]
    assert all(any(f": {name}." in line and " has no attribute " in line for line in told) for name in changed)
    all_told(receiver)


def unseen(*changes):
    """Return code that imports a grpcio of a version that nobody has seen, with *changes*: (module, change)."""
    known = ("grpc._grpcio_metadata", 'setattr(module, "__version__", "1.99.0.dev0")')
    made = "\n".join(f"Changes({name!r}, lambda module: {change})" for name, change in (known, *changes))
    return f"{CHANGE}\n{made}\nfrom grpc import insecure_channel, server\n"


@pytest.mark.parametrize("stack", ["sync", "aio"])
def test_a_version_that_nobody_has_seen_may_fit(receiver, stack):
    ended = run(unseen() + traffic(stack), endpoint=receiver.endpoint, GRPCTRACING_LOG="info")
    assert (ended.out, ended.err) == (plain(stack).out, "")
    all_told(receiver)


@pytest.mark.parametrize("stack", ["sync", "aio"])
def test_a_version_that_nobody_has_seen_may_not_fit(receiver, stack):
    changes = [(name, change) for of, name, change in BROKEN.values() if of == stack and "other" in change]
    ended = run(unseen(*changes) + traffic(stack), endpoint=receiver.endpoint, GRPCTRACING_LOG="info")
    assert ended.out == plain(stack).out
    assert ended.err.count("of grpcio 1.99.0.dev0 through its public interface: ") == len(changes) == 2
    all_told(receiver)


@pytest.mark.parametrize("stack", ["sync", "aio"])
def test_asked_for(receiver, stack):
    ended = run(PLAIN, "both", stack, endpoint=receiver.endpoint, GRPCTRACING_HOOKS="public")
    assert ended == plain(stack)
    all_told(receiver)


def test_no_internal_is_touched_then():
    code = """
import grpc, grpc._channel, grpc._server, grpc._interceptor
for module in grpc._channel, grpc._server, grpc._interceptor, grpc.aio._channel, grpc.aio._call, grpc.aio._server:
    for owner in [module, *(thing for thing in vars(module).values() if isinstance(thing, type))]:
        for name, thing in vars(owner).items():
            if "_grpctracing" in getattr(getattr(thing, "__code__", None), "co_filename", ""):
                print(owner, name)
"""
    assert "grpc._server" in run(code).out
    assert run(code, GRPCTRACING_HOOKS="public").out == ""


RETRYING = {
    "sync": """
import grpc, plain
class Retry(grpc.UnaryUnaryClientInterceptor):
    def intercept_unary_unary(self, continuation, details, request):
        if request == b"known":
            return Known()
        continuation(details._replace(metadata=[("try", "1")]), request).exception()
        return continuation(details, request)
class Known:
    def result(self, timeout=None):
        return b"mine"
server, port = plain.serve_sync()
with grpc.insecure_channel(f"localhost:{port}") as channel:
    method = grpc.intercept_channel(channel, Retry()).unary_unary("/test.Echo/UU")
    print(method(b"known"), method(b"x"), list(channel.unary_stream("/test.Echo/US")(b"y")))
server.stop(None).wait()
""",
    "aio": """
import asyncio, grpc, plain
class Retry(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation, details, request):
        if request == b"known":
            return b"mine"
        await (await continuation(details, request))
        return await continuation(details, request)
async def main():
    server, port = await plain.serve_aio()
    async with grpc.aio.insecure_channel(f"localhost:{port}", interceptors=[Retry()]) as channel:
        method = channel.unary_unary("/test.Echo/UU")
        print(await method(b"known"), await method(b"x"), [one async for one in channel.unary_stream("/test.Echo/US")(b"y")])
    await server.stop(1)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("hooks", ["internal", "public"])
@pytest.mark.parametrize("stack", RETRYING)
def test_what_an_interceptor_tries_again_is_a_call_and_what_it_knows_is_none(receiver, stack, hooks):
    code = using_apps(RETRYING[stack])
    ended = run(code, endpoint=receiver.endpoint, GRPCTRACING_HOOKS=hooks)
    assert ended == run(code, payload=None)
    receiver.wait_for(lambda spans: len(spans) == 6)
    told = {
        (side, kind): [span for span in receiver.spans if (span.kind, span.name[-2:]) == (side, kind)]
        for side in ("CLIENT", "SERVER")
        for kind in ("UU", "US")
    }
    assert [len(spans) for spans in told.values()] == [2, 1, 2, 1]
    assert {span.parent for span in told["SERVER", "UU"]} == {span.id for span in told["CLIENT", "UU"]}
    for span in receiver.spans:
        sent, received = (1, 2 if span.name.endswith("US") else 1)[:: 1 if span.kind == "CLIENT" else -1]
        count = span.attributes.get
        assert (count("grpctracing.messages.sent"), count("grpctracing.messages.received")) == (sent, received)


def test_the_newest_version_of_the_matrix_has_been_seen():
    newest = max(tuple(map(int, of[-1].split(".")[:2])) for of in matrix.GENERATIONS.values())
    oldest = min(tuple(map(int, of[0].split(".")[:2])) for of in matrix.GENERATIONS.values())
    assert f"_SEEN = {oldest}, {newest}\n" in (PAYLOAD / "_grpctracing" / "activate.py").read_text()
