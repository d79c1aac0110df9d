"""asyncio server calls by the public interface: `server_aio`'s interceptor, handed to `grpc.aio.server`, with grpc's classes told by what they can do."""

from functools import partial, wraps

from .public import Servers, making, stops
from .server_aio import Interceptor


class Like:
    """Stands for a class of grpc's in `isinstance`: whatever satisfies *test* is of it."""

    def __init__(self, test):
        self._test = test

    def __instancecheck__(self, thing):
        return self._test(thing)


class Core:
    """Stands for grpc's compiled module."""

    _ServicerContext = Like(lambda thing: all(hasattr(thing, name) for name in ("code", "details", "done", "write")))
    _SyncServicerContext = Like(lambda thing: not hasattr(thing, "write"))  # what a plain function gets

    def __init__(self, aborted):
        self.AbortError = aborted


def _stopping(original):
    @wraps(original)
    async def stop(this, grace):
        stops(this._grpctracing, grace)
        return await original(this, grace)

    return stop


def _servers(calls):
    from grpc import aio

    kind = type("GrpcTracing", (Interceptor, aio.ServerInterceptor), {})  # grpc checks the class
    return partial(making, Servers(calls, partial(kind, calls, Core(aio.AbortError)), _stopping))


def install(grpc, calls, patch):
    """Put the hook into the public function of *grpc*."""
    patch(grpc.aio, "server", _servers(calls))


def install_late(module, calls, patch):
    """Put it where that function, which may be running, makes servers: into `grpc.aio._server`."""
    patch(module.Server, "__init__", _servers(calls))
