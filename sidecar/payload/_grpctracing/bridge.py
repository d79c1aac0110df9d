"""Spans of ours behind the application's opentelemetry-api, where no SDK stands behind it.

`ProxyTracer`, which the API hands out until a provider is set, asks for the real tracer at each span. Where the answer would be the one that does nothing, it
is ours. Classes are made when the API is there, because they must be its own (`isinstance`). Spans end up in `pipeline.finish_span`.
"""

import sys
import time
from contextlib import contextmanager
from functools import wraps

from . import log
from .context import SpanContext, suppressed

_MAX_TRACERS = 1024
_OK, _ERROR = 1, 2  # StatusCode, in the API and in OTLP


def _harmless(method):
    """Return *method*, which does nothing where it would raise: the API's own spans take anything."""

    @wraps(method)
    def call(self, *args, **options):
        try:
            method(self, *args, **options)
        except Exception as problem:
            log.debug("%s of a manual span: %r" % (method.__name__, problem))

    return call


class ManualSpan:
    """A span that the application makes; also the record that the exporter reads. Times in ns; *kind* and *status_code* as OTLP numbers them."""

    dropped_attributes = dropped_events = dropped_links = 0  # beyond *limits*, the Config's

    def begin(self, pipeline, name, kind, context, parent, scope):
        """Start; return self."""
        self.pipeline = pipeline
        self.name, self.kind, self.context = name, kind, context
        self.parent, self.parent_id = parent, parent.span_id if parent is not None else 0
        self.scope_name, self.scope_version = scope
        self.attributes, self.events, self.links = {}, [], []
        self.status_code, self.status_message = 0, ""
        self.start_ns = self._began_ns = time.time_ns()
        self.end_ns, self._clock = 0, time.perf_counter_ns()
        return self

    def get_span_context(self):
        return self.identity

    def is_recording(self):
        return not self.end_ns

    @_harmless
    def set_attribute(self, key, value):
        if self.end_ns or value is None:
            return
        if len(self.attributes) < self.limits.attributes or key in self.attributes:
            self.attributes[key] = (
                tuple(value) if isinstance(value, list) else value
            )  # the application may change its list
        else:
            self.dropped_attributes += 1

    @_harmless
    def set_attributes(self, attributes):
        for key, value in attributes.items():
            self.set_attribute(key, value)

    @_harmless
    def add_event(self, name, attributes=None, timestamp=None):
        if self.end_ns:
            return
        if len(self.events) >= self.limits.events:
            self.dropped_events += 1
        else:
            self.events.append((int(timestamp or self._now()), str(name), dict(attributes or {})))

    @_harmless
    def add_link(self, context, attributes=None):
        if self.end_ns:
            return
        if len(self.links) >= self.limits.links:
            self.dropped_links += 1
        else:
            self.links.append((ours(context), dict(attributes or {})))

    @_harmless
    def update_name(self, name):
        if not self.end_ns:
            self.name = str(name)

    @_harmless
    def set_status(self, status, description=None):
        """Set the status; OK is final, and UNSET changes nothing (trace/api.md#set-status)."""
        value = getattr(status, "status_code", status).value
        if not self.end_ns and value and self.status_code != _OK:
            self.status_code = value
            text = getattr(status, "description", None) or description
            self.status_message = str(text) if text and value == _ERROR else ""

    @_harmless
    def record_exception(self, exception, attributes=None, timestamp=None, escaped=False):  # noqa: FBT002 - the API's signature
        import traceback

        kind = type(exception)
        name = kind.__qualname__ if kind.__module__ == "builtins" else "%s.%s" % (kind.__module__, kind.__qualname__)
        trace = "".join(traceback.format_exception(kind, exception, exception.__traceback__))
        found = {
            "exception.type": name,
            "exception.message": str(exception),
            "exception.stacktrace": trace,
            "exception.escaped": str(escaped),
        }
        found.update(attributes or {})
        self.add_event("exception", found, timestamp)

    @_harmless
    def end(self, end_time=None):
        if not self.end_ns:
            self.end_ns = int(end_time or self._now())
            self.pipeline.finish_span(self)

    @_harmless
    def fail(self, error, recorded=True, told=True):  # noqa: FBT002 - as the API names its options
        """Take note that *error* left the block that this span is for."""
        if isinstance(error, Exception) and self.is_recording():
            if recorded:
                self.record_exception(error)
            if told:
                self.set_status(self.failed, "%s: %s" % (type(error).__name__, error))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.fail(error)
        self.end()

    def _now(self):
        return self._began_ns + time.perf_counter_ns() - self._clock


class Told(dict):
    """What the application adds to the span of a Call: attributes, and all else that the exporter looks for."""

    name = None
    status_code, status_message = 0, ""
    dropped_attributes = dropped_events = dropped_links = 0

    def __init__(self):
        self.links = []


def _of_call(name):
    return property(
        lambda span: getattr(span.attributes, name), lambda span, value: setattr(span.attributes, name, value)
    )


class CallSpan(ManualSpan):
    """Our server span as the application meets it: what it adds goes to the Call, which ends when the call does, and no sooner."""

    name, links = _of_call("name"), _of_call("links")
    dropped_attributes, dropped_events = _of_call("dropped_attributes"), _of_call("dropped_events")
    dropped_links = _of_call("dropped_links")
    status_code, status_message = _of_call("status_code"), _of_call("status_message")

    def of(self, call):
        """Set the Call; return self. A call may be met through several spans: all share what is added."""
        self.call = call
        self._began_ns, self._clock = call.start_ns, call._clock
        if call.attributes is None:
            call.attributes = Told()
        if call.events is None:
            call.events = []
        self.attributes, self.events = call.attributes, call.events
        return self

    @property
    def end_ns(self):
        return self.call.end_ns

    def end(self, end_time=None):
        """Change nothing: the call goes on."""


class Bridge:
    """Between the application's module `opentelemetry.trace` and our pipeline. *around()* gives what is current."""

    def __init__(self, trace, pipeline, around):
        self._trace = trace
        self._pipeline = pipeline
        self._around = around
        shared = {"failed": trace.StatusCode.ERROR, "limits": pipeline.config.limits}
        self._otel = sys.modules["opentelemetry.context"]
        self._manual = type("Span", (ManualSpan, trace.Span), shared)
        self._call = type("Span", (CallSpan, trace.Span), shared)
        self.nothing = trace.INVALID_SPAN
        self._tracers = {}
        self._original = trace.ProxyTracer._tracer
        real = self._original.fget

        def tracer(this):
            found = real(this)
            # suppressed: someone else's instrumentation of our own export
            return (
                self._tracer_of(this)
                if found is this._noop_tracer and pipeline.enabled and not suppressed.get()
                else found
            )

        trace.ProxyTracer._tracer = property(tracer)

    def withdraw(self):
        """Let the API's tracers do nothing again."""
        self._trace.ProxyTracer._tracer = self._original

    def _tracer_of(self, proxy):
        scope = (
            getattr(proxy, "_instrumenting_module_name", "") or "",
            getattr(proxy, "_instrumenting_library_version", None) or "",
        )
        found = self._tracers.get(scope)
        if found is None:
            if len(self._tracers) >= _MAX_TRACERS:  # some make a name for each call
                self._tracers.clear()
            found = self._tracers[scope] = Tracer(self, scope)
        return found

    def span_of(self, call):
        """Return the span under which the application meets *call*."""
        span = self._call().of(call)
        span.identity = self.theirs(call.context)
        return span

    def theirs(self, context):
        """Return our SpanContext *context* as one of the API's."""
        trace = self._trace
        state = trace.TraceState.from_header([context.trace_state]) if context.trace_state else None
        return trace.SpanContext(
            context.trace_id, context.span_id, context.remote, trace.TraceFlags(context.flags), state
        )

    def context_of(self, parent):
        """Return the API's Context with *parent* (SpanContext or None) as its only content."""
        empty = sys.modules["opentelemetry.context"].Context()
        if parent is None:
            return empty
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(self.theirs(parent)), empty)

    def start(self, scope, name, context, kind):
        """Return the new span *name* below what is current, or below the span in *context* if one is given."""
        trace = self._trace
        if context is None:
            parent = self._around()[0]
        else:
            known = trace.get_current_span(context).get_span_context()
            parent = ours(known) if known.is_valid else None
        number = kind.value + 1 if kind is not None else 1  # SpanKind.INTERNAL = 0 in the API, 1 in OTLP
        identity, _, sampled = self._pipeline.start(number, name, parent)
        if not sampled:
            return trace.NonRecordingSpan(self.theirs(identity))
        span = self._manual().begin(self._pipeline, name, number, identity, parent, scope)
        span.identity = self.theirs(identity)
        return span

    @contextmanager  # which makes it a decorator, too: a new span for each call of the function
    def current(self, tracer, start, recorded, told, ends):
        """Make a new span current, begun by *tracer* with the arguments *start*. The flags are those of Tracer.start_as_current_span."""
        span = tracer.start_span(*start)
        token = self.attach(self._trace.set_span_in_context(span))
        try:
            yield span
        except Exception as error:
            if isinstance(span, ManualSpan):
                span.fail(error, recorded, told)
            raise
        finally:
            self.detach(token)
            if ends:
                span.end()

    def attach(self, context):
        """Make the API's Context *context* current; return the token for detach."""
        return self._otel.attach(context)

    def detach(self, token):
        """Make current what was. The API's own function logs where that can't be: in a generator that is closed elsewhere than it was begun."""
        try:
            getattr(self._otel, "_RUNTIME_CONTEXT", self._otel).detach(token)
        except Exception as problem:
            log.debug("detach: %r" % (problem,))


def ours(theirs):
    """Return the API's SpanContext *theirs* as one of ours."""
    state = theirs.trace_state.to_header() if theirs.trace_state else ""
    return SpanContext(theirs.trace_id, theirs.span_id, int(theirs.trace_flags), state, theirs.is_remote)


class Tracer:
    """What a ProxyTracer asks where no provider is set."""

    def __init__(self, bridge, scope):
        self._bridge = bridge
        self._scope = scope

    def start_span(
        self, name, context=None, kind=None, attributes=None, links=None, start_time=None, *_flags, **_options
    ):
        """Return a started span. What is left of the API's arguments is about its use as a context manager, see Bridge.current."""
        try:
            return self._start(name, context, kind, attributes, links, start_time)
        except Exception as problem:
            log.debug("a manual span could not start: %r" % (problem,))
            return self._bridge.nothing

    def _start(self, name, context, kind, attributes, links, start_time):
        span = self._bridge.start(self._scope, str(name), context, kind)
        if isinstance(span, ManualSpan):
            span.set_attributes(attributes or {})
            for link in links or ():
                span.add_link(link.context, link.attributes)
            if start_time is not None:
                span.start_ns = int(start_time)
        return span

    def start_as_current_span(
        self, name, context=None, kind=None, attributes=None, links=None, start_time=None, *flags, **options
    ):
        """Return a context manager, and decorator, in which a new span is current."""
        start = (name, context, kind, attributes, links, start_time)
        names = ("record_exception", "set_status_on_exception", "end_on_exit")
        options.update(zip(names, flags))  # noqa: B905 - strict= is of 3.10
        return self._bridge.current(self, start, *(options.get(name, True) for name in names))
