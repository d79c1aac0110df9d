"""asyncio server calls. The server is compiled, so the one place to stand is the public one: an interceptor before all of the application's.

grpc awaits it in the very task that then runs the handler, so our context is current there without anything around the handler, and the task's end is the
call's end. The handler comes back as an object that answers with the application's own attributes, except for counting serializers and for a behavior that
is a `functools.partial` of the original: `inspect` looks through a partial, so grpc sees the coroutine function, async generator function or plain function
that it would have seen. Probed: grpcio 1.48 to 1.85.
"""

import asyncio
from functools import wraps
from time import monotonic
from weakref import WeakKeyDictionary

from . import context, selfcheck, semconv, status
from .behavior import behavior
from .call import counting, unseen, watching
from .metadata import answered, captured

EXPECTED = {
    "Server.__init__": (
        "self",
        "thread_pool",
        "generic_handlers",
        "interceptors",
        "options",
        "maximum_concurrent_rpcs",
        "compression",
    ),
    "Server.stop": ("self", "grace"),
    "ServerInterceptor": None,
    "cygrpc._ServicerContext.done": None,
    "cygrpc._ServicerContext.code": None,
    "cygrpc._SyncServicerContext": None,
    "cygrpc.AbortError": None,
}
_BEHAVIORS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Ours:
    """The interceptors of the application with ours first: iterated as often as grpc would iterate them, even where that is once."""

    def __init__(self, ours, given):
        self._ours = ours
        self._given = given

    def __iter__(self):
        yield self._ours
        if self._given:
            yield from self._given


class Served:
    """One call while it is served. *record* is None for an excluded service, whose context is carried and nothing told."""

    __slots__ = ("accepted", "around", "calls", "core", "outcome", "record", "server", "servicer")

    def __init__(self, calls, record, around, server):
        self.calls = calls
        self.record = record
        self.around = around
        self.server = server  # our Interceptor there
        self.core = server.core
        self.accepted = False  # grpc went on to look what kind of handler it is
        self.servicer = None
        self.outcome = None  # True: the handler did all it had to; an exception: it raised that

    def over(self, _task):
        """End the call: its task is done."""
        try:
            names = self.calls.pipeline.settings.response_metadata
            if names and self.servicer is not None:  # what it sends first is not to be seen from here
                answered(self.record, names, self.servicer.trailing_metadata())
            self.calls.end(self.record, *self._ending())
        except Exception as problem:
            self.calls.pipeline.error(problem, "server_aio")
        self.outcome = self.servicer = None  # an exception's traceback leads back to here

    def _ending(self):
        if not self.accepted:
            return status.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!"
        servicer = self.servicer
        code = servicer.code() if servicer is not None else None  # set by set_code and abort
        code = status.OK if code is None else status.number(code)
        failure = self.record.broken or self.outcome
        if self.record.broken is not None:
            self.record.broken = None
        raised = isinstance(failure, Exception) and not isinstance(
            failure, (asyncio.CancelledError, self.core.AbortError)
        )
        if raised:
            return code or status.UNKNOWN, "Unexpected %s: %s" % (type(failure), failure)  # the text that grpc sends
        if servicer is not None and servicer.done() and (code or failure is True):
            return code, status.text(servicer.details()) if code else ""
        # The task ended before the handler: the server stopped, the client went away, or the deadline passed.
        if self.server.stop_at is not None and monotonic() >= self.server.stop_at:
            return status.UNAVAILABLE, status.STOPPED
        return status.cut_short(servicer.time_remaining() if servicer is not None else None, self.record.elapsed()), ""


def _behavior(name):
    def of(self):
        handler = self._handler
        found = getattr(handler, name)
        return behavior(found, self._served, handler.response_streaming) if callable(found) else found

    return property(of)


class Handler:
    """The application's method handler, as grpc sees it."""

    __slots__ = ("_handler", "_served", "request_deserializer", "response_serializer")

    def __init__(self, handler, served):
        self._handler = handler
        self._served = served
        if served.record is not None:
            record, serializer, deserializer = served.record, handler.response_serializer, handler.request_deserializer
            if record.counts:
                serializer, deserializer = counting(record, serializer, deserializer)
            else:
                serializer, deserializer = watching(record, serializer), watching(record, deserializer)
            self.request_deserializer = deserializer
            self.response_serializer = serializer

    @property
    def request_streaming(self):
        """Tell the kind of handler. grpc asks when it has accepted the call, and not before."""
        self._served.accepted = True
        return self._handler.request_streaming

    @property
    def response_streaming(self):
        return self._handler.response_streaming

    unary_unary, unary_stream, stream_unary, stream_stream = map(_behavior, _BEHAVIORS)

    def __getattr__(self, name):  # its deserializer and serializer, where the call is not told
        return getattr(self._handler, name)


class Interceptor:
    """First of all interceptors of an asyncio server. Made one of grpc's kind when grpc is there, see install."""

    def __init__(self, calls, core):
        self._calls = calls
        self.core = core  # grpc's compiled module
        self.stop_at = None  # when the server cancels the calls that are left

    async def intercept_service(self, continuation, handler_call_details):
        served = None
        try:
            if not self._calls.off():
                served = self._begin(handler_call_details)
        except Exception as problem:
            self._calls.pipeline.error(problem, "server_aio")
        try:
            handler = await continuation(handler_call_details)
        except BaseException as error:
            unseen(error)
            if served is not None and served.record is not None:
                served.accepted, served.outcome = True, error
                served.over(None)
            raise
        if served is None:
            return handler
        if handler is not None:
            if served.record is not None:
                asyncio.current_task().add_done_callback(served.over)
            return Handler(handler, served)
        if served.record is not None:
            record = served.record
            # A name that only the client made up must not become a metric's attribute.
            record.original, record.method = record.method, semconv.OTHER
            self._calls.end(record, status.UNIMPLEMENTED, "Method not found!")
        return None

    def _begin(self, details):
        calls, method, metadata = self._calls, details.method, details.invocation_metadata
        pipeline = calls.pipeline
        parent, baggage = pipeline.extract(metadata)
        record, around = None, (parent, baggage)
        excluded = pipeline.exclusions.get(method)
        if not (calls.excluded(method) if excluded is None else excluded):
            record = calls.begin(status.SERVER, method, "", parent)
            around = (record.context, baggage)
            names = pipeline.settings.request_metadata
            if names:
                record.metadata = captured("rpc.request.metadata.", metadata, names)
        context.current.set(around)  # this task's own, and it ends with the call
        if calls.join.here:
            calls.join.enter(record, around)
        return Served(calls, record, around, self)


def install(module, calls, patch):
    """Put the hook into `grpc.aio._server`; return "" or why not."""
    problem = selfcheck.misfit(module, EXPECTED)
    if not problem:
        kind = type("GrpcTracing", (Interceptor, module.ServerInterceptor), {})  # grpc checks the class
        servers = WeakKeyDictionary()

        def hook(original):
            @wraps(original)
            def init(this, thread_pool, generic_handlers, interceptors, *rest, **more):
                ours = servers[this] = kind(calls, module.cygrpc)
                # none, and there never will be (a list may grow): grpc is spared a generator per call
                alone = interceptors is None or (type(interceptors) is tuple and not interceptors)
                chain = (ours,) if alone else Ours(ours, interceptors)
                original(this, thread_pool, generic_handlers, chain, *rest, **more)

            return init

        def stopping(original):
            @wraps(original)
            async def stop(this, grace):
                ours = servers.get(this)
                if ours is not None:
                    at = monotonic() + (grace or 0.0) - status.CLOCKS_DIFFER
                    ours.stop_at = at if ours.stop_at is None else min(at, ours.stop_at)
                await original(this, grace)

            return stop

        patch(module.Server, "__init__", hook)
        patch(module.Server, "stop", stopping)
    return problem
