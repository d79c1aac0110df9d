"""Sync server calls by the public interface: an interceptor before all of the application's, whose handlers run the application's own.

The context that a handler gets tells when the call is over, and how, as far as grpc's public interface knows: a call that never reached its handler is over
when grpc lets go of that, and nothing tells whether a status that the handler gave was still sent.
"""

from functools import partial, wraps
from time import monotonic

from . import log, semconv, status
from .behavior import Current
from .call import counting, unseen
from .metadata import answered, captured
from .public import METHODS, Kinds, Servers, making, stops

_BY_CHANCE = (status.OK, status.UNIMPLEMENTED)  # sent in vain where the call is over and nobody has said so yet


class Served:
    """One call while it is served. *record* is None for an excluded service, whose context is carried and nothing told, and where all is told."""

    def __init__(self, calls, record, around, server):
        self.calls = calls
        self.record = record
        self.around = around
        self.accepted = False  # grpc went on to look what kind of handler it is
        self.cancelled = False  # by the handler
        self._server = server  # our Interceptor there
        self._servicer = self._requests = None
        self._outcome = None  # (code, details) that the handler's end stands for, if nothing else is set; None: it has not come to its end

    def __del__(self):
        """End a call whose handler never ran: only now it is sure that it never will."""
        try:
            if self.accepted:
                self._end(*self._cut_short(None))
            else:
                self._end(status.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
        except Exception as problem:
            self.calls.pipeline.error(problem, "public")

    def begin(self, servicer, requests):
        """Take note of the context that the handler gets, and of the iterator of *requests* (None: there is one request)."""
        if self.record is not None:
            try:
                self.record.target = servicer.peer()
                self._servicer, self._requests = servicer, requests
                if not servicer.add_callback(self._over):
                    self._over()
                _contexts.adopt(servicer, self)
            except Exception as problem:
                self.calls.pipeline.error(problem, "public")

    def ended(self, prefix="", error=None):
        """Take note that the handler did all it had to, or raised *error*. What it says to a client that is gone by then is not sent."""
        servicer = self._servicer
        try:
            if servicer is not None and not self.cancelled and servicer.is_active():
                self._outcome = (status.OK, "") if error is None else (status.UNKNOWN, "%s: %s" % (prefix, error))
        except Exception as problem:  # the application's, that can't be printed
            self._outcome = status.UNKNOWN, prefix
            log.debug("an exception has no text: %s" % type(problem))

    def broke(self, details):
        """End the call: one of its messages can't be (de)serialized, for which grpc sends *details*."""
        servicer = self._servicer
        try:
            if servicer is None or servicer.is_active():
                self._end(*self._said(servicer, status.INTERNAL, details))
        except Exception as problem:
            self.calls.pipeline.error(problem, "public")

    def _over(self):
        servicer, self._servicer = self._servicer, None
        try:
            names = self.calls.pipeline.settings.response_metadata
            if names and self.record is not None:  # what it sends first is not to be seen from here
                answered(self.record, names, servicer.trailing_metadata())
            code, details = (status.OK, "") if self._outcome is None else self._said(servicer, *self._outcome)
            if self._outcome is None or (code in _BY_CHANCE and self._gone()):
                code, details = self._cut_short(servicer.time_remaining())
            self._end(code, details)
        except Exception as problem:
            self.calls.pipeline.error(problem, "public")

    def _gone(self):
        """Return whether the client went away before the handler's end, which may have taken that for the end of the requests. Asked when the call is over."""
        requests, self._requests = self._requests, None
        try:
            if requests is not None:
                next(requests)
        except StopIteration:
            return False
        except Exception:
            return True
        return False

    def _said(self, servicer, code, details):
        """Return *code* and *details*, or what the application set."""
        if servicer is not None:
            set_code, set_details = servicer.code(), servicer.details()
            code = code if set_code is None else status.number(set_code)
            details = details if set_details is None else status.text(set_details)
        return code, details

    def _cut_short(self, remaining):
        if self._server.stop_at is not None and monotonic() >= self._server.stop_at:
            return status.UNAVAILABLE, status.STOPPED
        return status.cut_short(remaining, self.record.elapsed() if self.record is not None else 0.0), ""

    def _end(self, code, details):
        record, self.record = self.record, None
        if record is not None:
            self.calls.end(record, code, details)


def _cancelling(original):
    @wraps(original)
    def cancel(this):
        this._grpctracing.cancelled = True
        return original(this)

    return cancel


_contexts = Kinds(cancel=_cancelling)


class Responses:
    """The iterator that the application's behavior gave. *around*, our context, stays current until its end, or until grpc lets go of it."""

    __slots__ = ("_around", "_responses", "_served")

    def __init__(self, responses, served, around):
        self._responses = responses
        self._served = served
        self._around = around

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self._responses)
        except BaseException as error:
            if isinstance(error, StopIteration):
                self._served.ended()
            else:
                self._served.ended("Exception iterating responses", error)
            self._leave()
            unseen(error)
            raise

    def __del__(self):
        self._responses = None
        try:
            self._leave()
        except Exception as problem:  # let go of in another thread
            log.debug("a stream of responses leaves its context: %r" % problem)

    def _leave(self):
        around, self._around = self._around, None
        if around is not None:
            around.__exit__(None, None, None)


class Behavior:
    """Called by grpc in the place of the application's *found*, whose attributes it has."""

    def __init__(self, name, found, served):
        self._found = found
        self._served = served
        self._takes_stream, self._gives_stream = (part == "stream" for part in name.split("_"))

    def __getattr__(self, name):
        return getattr(self._found, name)

    def __call__(self, request, servicer, *send):
        served = self._served
        served.begin(servicer, request if self._takes_stream else None)
        around = Current(served)
        around.__enter__()
        try:
            result = self._found(request, servicer, *map(self._last, send))
        except BaseException as error:
            served.ended("Exception calling application", error)
            around.__exit__(None, None, None)
            unseen(error)
            raise
        if self._gives_stream and not send:
            return Responses(result, served, around)
        if not send:
            served.ended()
        around.__exit__(None, None, None)
        return result

    def _last(self, send):
        """Return grpc's function that sends a response, for behaviors that give them to it (`experimental_non_blocking`); None is the last."""

        @wraps(send)
        def sent(response):
            if response is None:
                self._served.ended()
            return send(response)

        return sent


def _telling(served, details, function):
    """Return *function* (None stays None), telling *served* that what it raises ends the call with *details*."""
    record = served.record
    if function is None:
        return None

    def told(value):
        try:
            return function(value)
        except BaseException as error:
            record.broken = None  # it holds the handler, and thereby the call
            served.broke(details)
            unseen(error)
            raise

    return told


class Handler:
    """The application's method handler, as grpc sees it."""

    def __init__(self, handler, served):
        self._handler = handler
        self._served = served
        if served.record is not None:
            read, write = handler.request_deserializer, handler.response_serializer
            if served.record.counts:
                write, read = counting(served.record, write, read)
            self.request_deserializer = _telling(served, "Exception deserializing request!", read)
            self.response_serializer = _telling(served, "Failed to serialize response!", write)

    @property
    def request_streaming(self):
        """Tell the kind of handler. grpc asks when it has accepted the call, and not before."""
        self._served.accepted = True
        return self._handler.request_streaming

    def __getattr__(self, name):
        found = getattr(self._handler, name)
        if name in METHODS and callable(found):
            return Behavior(name, found, self._served)
        return found


class Interceptor:
    """First of all interceptors of a server. Made one of grpc's kind when grpc is there, see Servers."""

    def __init__(self, calls):
        self._calls = calls
        self.stop_at = None  # when the server cancels the calls that are left

    def intercept_service(self, continuation, handler_call_details):
        """Have the handler that is found run under our eyes."""
        served = None
        try:
            if not self._calls.off():
                served = self._begin(handler_call_details)
        except Exception as problem:
            self._calls.pipeline.error(problem, "public")
        record = served.record if served is not None else None
        try:
            handler = continuation(handler_call_details)
        except BaseException as error:
            unseen(error)
            if record is not None:
                self._calls.end(record, status.UNKNOWN, "Error in service handler!")
            raise
        if handler is not None:
            return handler if served is None else Handler(handler, served)
        if record is not None:
            # A name that only the client made up must not become a metric's attribute.
            record.original, record.method = record.method, semconv.OTHER
            self._calls.end(record, status.UNIMPLEMENTED, "Method not found!")
        return None

    def _begin(self, details):
        calls = self._calls
        metadata = details.invocation_metadata
        parent, baggage = calls.pipeline.extract(metadata)
        if calls.excluded(details.method):
            return Served(calls, None, (parent, baggage), self)
        record = calls.begin(status.SERVER, status.text(details.method), "", parent)
        names = calls.pipeline.settings.request_metadata
        if names:
            record.metadata = captured("rpc.request.metadata.", metadata, names)
        return Served(calls, record, (record.context, baggage), self)


def _stopping(original):
    @wraps(original)
    def stop(this, grace):
        stops(this._grpctracing, grace)
        return original(this, grace)

    return stop


def _servers(calls):
    import grpc

    kind = type("GrpcTracing", (Interceptor, grpc.ServerInterceptor), {})
    return partial(making, Servers(calls, partial(kind, calls), _stopping))


def install(grpc, calls, patch):
    """Put the hook into the public function of *grpc*."""
    patch(grpc, "server", _servers(calls))


def install_late(module, calls, patch):
    """Put it where that function, which may be running, makes servers: into `grpc._server`."""
    patch(module._Server, "__init__", _servers(calls))
