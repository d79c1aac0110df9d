"""What is current: the span context that travels between processes, and the context variables that hold it inside one."""

from contextvars import ContextVar

SAMPLED = 0x01
RANDOM = 0x02
"""W3C trace flags, level 2: the trace id's low 56 bits are random, as ours are."""


class SpanContext:
    """Identity of one span: ids as integers, W3C flags, tracestate as its header text, and whether it came over the wire. Treated as immutable.

    *hexadecimal*: the trace id as 32 digits, where they are known already; they go from one end of a trace to the other.
    """

    __slots__ = ("flags", "hexadecimal", "remote", "span_id", "trace_id", "trace_state")

    def __init__(self, trace_id, span_id, flags, trace_state="", remote=False, hexadecimal=None):  # noqa: FBT002 - positional on the hot path, 0.2 µs
        self.hexadecimal = hexadecimal
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags
        self.trace_state = trace_state
        self.remote = remote

    def __eq__(self, other):
        if not isinstance(other, SpanContext):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__ if name != "hexadecimal")

    def __hash__(self):
        return hash((self.trace_id, self.span_id))

    def __repr__(self):
        return "SpanContext(%032x-%016x-%02x%s)" % (
            self.trace_id,
            self.span_id,
            self.flags,
            " remote" if self.remote else "",
        )


NOTHING = (None, "")

current = ContextVar("grpctracing", default=NOTHING)
"""(SpanContext or None, baggage header text) of the code that runs now."""

suppressed = ContextVar("grpctracing-suppressed", default=False)
"""True while our own export runs: hooks let such calls pass untouched, or an export would be traced, exported, traced …"""
