"""Joins the application's own OpenTelemetry, if it uses any. We import none of it: all begins when the application has imported `opentelemetry.trace`.

- API alone: tracers that would do nothing get spans of ours (see bridge). No provider is set, so the application may still set its own, at any time.
- Its own SDK provider: our spans are made by a tracer of that provider, which so decides about ids, sampling, processors and export.
  Not in that case: `keep`, our metrics.
- In both cases the application's context is the truth about what is current, and our server span is current in it while a handler runs.
"""

import sys

from . import __version__, semconv, status
from .context import current

_CAME = "grpctracing-baggage"
"""In the application's context: (the baggage header that came in, what it says), so that it goes on untouched until the application touches it."""


class Join:
    """What the hooks ask. Each answer is None, at the price of one comparison, while the application has no OpenTelemetry."""

    def __init__(self, pipeline, bridge):
        self._pipeline = pipeline
        self._load = bridge
        self._trace = None
        self.here = False  # whether the application has OpenTelemetry; the hooks ask nothing else while it has not
        self._bridge = None
        self._tracer = (None, None)  # provider, its tracer

    def loaded(self, trace):
        """Take note that the application has imported *trace* (the module `opentelemetry.trace`)."""
        otel = sys.modules["opentelemetry.context"]
        self._value, self._set_value = otel.get_value, otel.set_value
        self._suppress = getattr(otel, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
        bridge = self._load()
        self._ours = bridge.ours
        self._bridge = bridge.Bridge(trace, self._pipeline, self.around)
        self._trace = trace
        self.here = True

    def withdraw(self):
        """Take no part any more."""
        if self._trace is not None:
            self._trace = None
            self._bridge.withdraw()

    def suppressed(self):
        """Return whether the application's OpenTelemetry asks for no spans here (its exporters do)."""
        return self._trace is not None and bool(self._value(self._suppress))

    def around(self):
        """Return (SpanContext or None, baggage header) for a span that begins now."""
        ours = current.get()
        if self._trace is None:
            return ours
        found = self._trace.get_current_span().get_span_context()
        return self._ours(found) if found.is_valid else ours[0], self._baggage(ours[1])

    def _baggage(self, header):
        """Return the baggage *header* as it came in, or what the application made of it."""
        module = sys.modules.get("opentelemetry.baggage")
        if module is None:
            return header
        held, came = module.get_all(), self._value(_CAME)
        if came is None and not held:
            return header
        return came[0] if came is not None and came[1] == held else _written(held)

    # ---- our server span, current in the application's context

    def enter(self, record, around):
        """Make the span of *record* (None: an excluded call, then what it carries) current; return what ends that, or None where there is nothing to end."""
        trace = self._trace
        if trace is None or (record is None and around[0] is None):
            return None
        try:
            bridge = self._bridge
            if record is not None and record.span is not None:
                span = record.span
            elif record is not None and record.sampled:
                span = bridge.span_of(record)
            else:
                span = trace.NonRecordingSpan(bridge.theirs(around[0]))
            value = trace.set_span_in_context(span)
            module = sys.modules.get("opentelemetry.baggage")
            if module is not None and around[1]:
                held = dict(_members(around[1]))
                value = self._set_value(module._BAGGAGE_KEY, held, value)  # set_baggage logs what it does not like
                value = self._set_value(_CAME, (around[1], held), value)
            token = bridge.attach(value)
        except Exception as problem:
            self._pipeline.error(problem, "join")
            return None
        return lambda: bridge.detach(token)

    # ---- the application's own provider

    def _own_tracer(self):
        trace = self._trace
        provider = getattr(trace, "_TRACER_PROVIDER", None) if trace is not None else None
        if provider is None or type(provider).__module__.startswith("opentelemetry.trace"):  # the API's own do nothing
            return None
        if self._tracer[0] is not provider:
            self._tracer = (provider, provider.get_tracer("grpctracing", __version__))
        return self._tracer[1]

    def begin(self, kind, method, parent):
        """Return (span, SpanContext, parent id, sampled) begun by the application's provider, or None if it has none."""
        tracer = self._own_tracer()
        if tracer is None:
            return None
        trace = self._trace
        known = trace.get_current_span().get_span_context()
        if kind == status.CLIENT and parent is not None and known.span_id == parent.span_id:
            around = None  # what is current
        else:
            around = self._bridge.context_of(parent)
        attributes = {"rpc.system.name": "grpc", "rpc.method": semconv.method_name(method)}
        kind = trace.SpanKind.SERVER if kind == status.SERVER else trace.SpanKind.CLIENT
        span = tracer.start_span(semconv.method_name(method), context=around, kind=kind, attributes=attributes)
        parent_id = parent.span_id if parent is not None else 0
        return span, self._ours(span.get_span_context()), parent_id, span.is_recording()

    def end(self, call):
        """End the span of *call* as it ended."""
        span = call.span
        trace = sys.modules["opentelemetry.trace"]  # ours is gone, where the call was under way as we stood down
        try:
            call.locate()
            for key, value in semconv.attributes_of(call):
                span.set_attribute(key, value)
            for at, name, attributes in call.events or ():
                span.add_event(name, attributes, at)
            if call.original is not None:
                span.update_name(semconv.span_name(call))
            if status.is_error(call.kind, call.code):
                span.set_status(trace.Status(trace.StatusCode.ERROR, call.details or None))
            span.end()
        except Exception as problem:
            self._pipeline.error(problem, "join")


def _members(header):
    """Yield (name, value) of each member of the baggage *header*, decoded. The API's own propagator logs what it can't read."""
    from urllib.parse import unquote_plus

    for member in header.split(","):
        name, equals, text = member.partition("=")
        if equals and name.strip():
            yield unquote_plus(name).strip(), unquote_plus(text).strip()


def _written(baggage):
    from urllib.parse import quote_plus

    return ",".join([quote_plus(str(name)) + "=" + quote_plus(str(text)) for name, text in baggage.items()])
