"""What the cases are made of: the table, servers with one method, and words for what was seen."""

import asyncio
import importlib
import os
import re
import subprocess
import sys
import textwrap
import traceback
from concurrent import futures
from pathlib import Path

import grpc
import grpc.aio
import grpc.experimental

CASES = {}


class MissingError(Exception):
    """What a case needs, and this environment does not have."""


def case(function):
    """Add *function* to the table."""
    assert function.__name__ not in CASES, function.__name__
    CASES[function.__name__] = function
    return function


def needed(module):
    """Return *module*, imported, where this environment has it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if error.name is not None and module.startswith(error.name.split(".")[0]):
            raise MissingError(module) from error
        raise


def fresh(code, *flags, **env):
    """Return how a new interpreter ends with *code*, started as this one was: code, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(code)],
        check=False,
        env={**os.environ, **env},
        cwd=str(Path(__file__).parents[3]),  # the checkout: -c looks there first
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return [done.returncode, done.stdout, without_ours(done.stderr)]


def without_ours(text, version=sys.version_info):
    """Return *text* less the frames of ours in its tracebacks, where they cannot be taken off: below Python 3.11, see docs/compatibility.md."""
    return text if version >= (3, 11) else re.sub(r'  File "[^"]*_grpctracing/[^"]*", .*\n(    .*\n)?', "", text)


def names(thing):
    """Return the public names of a call object."""
    return sorted(name for name in dir(thing) if not name.startswith("_"))


def pairs(metadata):
    """Return metadata as it was received, less what belongs to the transport and the trace context."""
    return [
        [key, value if isinstance(value, str) else repr(value)]
        for key, value in metadata or ()
        if key not in {"user-agent", "traceparent", "tracestate"}
    ]


def failure(error):
    """Return what a raised error says."""
    seen = [type(error).__qualname__, [base.__qualname__ for base in type(error).__mro__]]
    if isinstance(error, grpc.RpcError) and hasattr(error, "code"):
        seen += [str(error.code()), error.details(), pairs(error.trailing_metadata()), names(error)]
    else:
        seen.append(str(error))
    return seen


def frames(trace):
    """Return the names of the functions in a traceback; of ours as in without_ours."""
    found = traceback.extract_tb(trace)
    return [one.name for one in found if sys.version_info >= (3, 11) or "_grpctracing" not in one.filename]


def attempt(function):
    """Return the result of *function*, or what it raised."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the application sees
        return failure(error)


def handler(kind, behavior, *serializers):
    maker = {
        "uu": grpc.unary_unary_rpc_method_handler,
        "us": grpc.unary_stream_rpc_method_handler,
        "su": grpc.stream_unary_rpc_method_handler,
        "ss": grpc.stream_stream_rpc_method_handler,
    }[kind]
    return maker(behavior, *serializers)


def handlers(**methods):
    return grpc.method_handlers_generic_handler("t.S", methods)


class Sync:
    """A sync server with one method M, and a channel to it."""

    def __init__(self, kind, behavior, serializers=(), pool=4, channel=(), **options):
        self.server = grpc.server(futures.ThreadPoolExecutor(pool), **options)
        self.server.add_generic_rpc_handlers((handlers(M=handler(kind, behavior, *serializers)),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.channel = grpc.insecure_channel(f"localhost:{self.port}", channel)
        self.kind = kind

    def __enter__(self):
        self.server.start()
        return self.ready()

    def ready(self):
        maker = {"uu": "unary_unary", "us": "unary_stream", "su": "stream_unary", "ss": "stream_stream"}[self.kind]
        self.method = getattr(self.channel, maker)("/t.S/M")
        return self

    def __exit__(self, *_):
        self.channel.close()
        self.server.stop(None).wait()


def echo(request, context):
    return request


def echoes(request, context):
    yield request
    yield request


def bidi(requests, context):
    yield from requests


def spy_metadata(seen):
    def behavior(request, context):
        seen.append(pairs(context.invocation_metadata()))
        return request

    return behavior


class Aio(Sync):
    """An asyncio server with one method M, and a channel to it."""

    def __init__(self, kind, behavior, serializers=(), channel=None, interceptors=None, **options):
        self.server = grpc.aio.server(**options)
        self.server.add_generic_rpc_handlers((handlers(M=handler(kind, behavior, *serializers)),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.channel = grpc.aio.insecure_channel(f"localhost:{self.port}", channel, interceptors=interceptors)
        self.kind = kind

    async def __aenter__(self):
        await self.server.start()
        return self.ready()

    async def __aexit__(self, *_):
        await self.channel.close()
        await self.server.stop(1)  # without a grace grpc itself prints, now and then, what it cancels


async def aio_echo(request, context):
    return request


async def aio_echoes(request, context):
    yield request
    yield request


async def aio_bidi(requests, context):
    async for request in requests:
        yield request


async def aio_attempt(awaitable):
    try:
        return await awaitable
    except asyncio.CancelledError as error:
        return type(error).__qualname__
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the application sees
        return failure(error)
