"""The record of one call, and the two moments in which it is touched: begin and end. The only mutable object on the hot path."""

from time import monotonic, perf_counter_ns, time_ns

from . import context, log, status

MAX_DETAILS = 1024  # characters: the queue is bounded by calls, and an exception's text may be of any length


class Call:
    """One RPC, from its first byte to its status. Hooks write, then hand it over once; the exporter reads. Bytes are uncompressed."""

    __slots__ = (
        "__dict__",  # for what few calls have; made when there is some
        "_clock",
        "bytes_received",
        "bytes_sent",
        "code",
        "context",
        "details",
        "end_ns",
        "kind",
        "method",
        "parent_id",
        "received",
        "sampled",
        "sent",
        "start_ns",
        "target",
    )
    messages = "Sizes"
    counts = True
    dropped_events = 0
    note = None  # called with SENT or RECEIVED, number and size of each message, see Eventful
    error_type = metadata = events = keep = original = None
    attributes = None  # what the application adds, see bridge
    broken = None  # what a serializer raised
    span = None  # of the application's own SDK, see join
    late = None  # gives (code, details) when the span is exported, where they may be known better by then

    def __init__(self, kind, method, target, context, parent_id, sampled):
        self.kind = kind
        self.method = method
        self.target = target
        self.context = context
        self.parent_id = parent_id
        self.sampled = sampled
        self.start_ns = time_ns()
        self._clock = perf_counter_ns()
        self.end_ns = 0
        self.sent = self.received = self.bytes_sent = self.bytes_received = 0
        self.code = -1  # not known yet
        self.details = ""

    def elapsed(self):
        """Return the seconds since the call began."""
        return (perf_counter_ns() - self._clock) / 1e9

    def stop(self, code, details, error_type=None):
        """Write down how and when the call ended. Return False if that is known already."""
        if self.end_ns:
            return False
        self.end_ns = self.start_ns + perf_counter_ns() - self._clock
        self.code = code
        self.details = details
        if code:
            self._tell(code, details, error_type)
        return True

    def locate(self):
        """Make the target text, which only a call that is exported needs (2 µs): until then it is what grpc has, or the function of grpc that asks for it."""
        target = self.target
        if not isinstance(target, str):
            self.target = status.text(target() if callable(target) else target)

    def settle(self):
        """Take over the status that is known by now. The exporter's thread calls this."""
        late, self.late = self.late, None
        self._tell(*late())

    def _tell(self, code, details, error_type=None):
        self.code = code
        self.details = details[:MAX_DETAILS]
        self.error_type = (error_type or status.name(code)) if status.is_error(self.kind, code) else None


class Uncounted(Call):
    """`messages: Never`. A class of its own, so that the usual kind pays nothing for the choice."""

    __slots__ = ()
    messages = "Never"
    counts = False


class Eventful(Call):
    """`messages: Events`: a span event for each message, up to a bound (RPC semantic conventions 1.37, docs/rpc/rpc-spans.md#message-event)."""

    __slots__ = ("dropped_events",)
    messages = "Events"
    most = 128  # OTEL_SPAN_EVENT_COUNT_LIMIT

    def __init__(self, *args):
        super().__init__(*args)
        self.events = []
        self.dropped_events = 0

    def note(self, direction, number, size):
        """Add the event of one message."""
        if len(self.events) < self.most:
            attributes = {
                "rpc.message.type": direction,
                "rpc.message.id": number,
                "rpc.message.uncompressed_size": size,
            }
            self.events.append((self.start_ns + perf_counter_ns() - self._clock, "rpc.message", attributes))
        else:
            self.dropped_events += 1


KINDS = {kind.messages: kind for kind in (Call, Uncounted, Eventful)}
SENT, RECEIVED = "SENT", "RECEIVED"


class Counting:
    """A serializer and a deserializer (None: bytes as they are) that count into *record*: for one call, or for one after the other."""

    __slots__ = ("deserializer", "record", "serializer")

    def serialize(self, message):
        """Stand in for the serializer."""
        call, serializer = self.record, self.serializer
        try:
            data = message if serializer is None else serializer(message)
        except BaseException as error:
            _broke(call, error)
            raise
        if isinstance(data, bytes):
            call.sent += 1
            call.bytes_sent += len(data)
            if call.note is not None:
                call.note(SENT, call.sent, len(data))
        return data

    def deserialize(self, data):
        """Stand in for the deserializer."""
        call, deserializer = self.record, self.deserializer
        call.received += 1
        call.bytes_received += len(data)
        if call.note is not None:
            call.note(RECEIVED, call.received, len(data))
        try:
            return data if deserializer is None else deserializer(data)
        except BaseException as error:
            _broke(call, error)
            raise


def counting(call, serializer, deserializer):
    """Return *serializer* and *deserializer* counting into *call*."""
    found = Counting()
    found.record, found.serializer, found.deserializer = call, serializer, deserializer
    return found.serialize, found.deserialize


def watching(call, function):
    """Return *function* (None stays None) telling *call* what it raises, and nothing else."""
    if function is None:
        return None

    def watched(value):
        try:
            return function(value)
        except BaseException as error:
            _broke(call, error)
            raise

    return watched


def _broke(call, error):
    """Note what a (de)serializer of *call* raised. Servers are asked for it; kept for a client, its traceback would keep the application's call object."""
    if call.kind == status.SERVER:
        call.broken = error
    unseen(error)


def unseen(error):
    """Take the frame that caught *error* off its traceback: tracebacks that the application logs look as they do without us.

    Works with a bare `raise` from Python 3.11 on; before, `raise` brings the frame back, and a traceback has one line more.
    """
    trace = error.__traceback__
    if trace is not None:
        error.__traceback__ = trace.tb_next


class Calls:
    """Begins and ends calls for the hooks: the pipeline's sampler and queue, or those of the application's own SDK (*join*)."""

    __slots__ = ("_withdrawn", "excluded", "join", "pipeline")

    def __init__(self, pipeline, join):
        self.pipeline = pipeline
        self.join = join
        self.excluded = pipeline.excluded
        Eventful.most = pipeline.config.limits.events
        self._withdrawn = False

    def withdraw(self):
        """Let every call pass from now on."""
        self._withdrawn = True
        self.join.withdraw()

    def off(self):
        """Return whether nothing is to be told now."""
        pipeline = self.pipeline
        if monotonic() >= pipeline.poll_at:
            pipeline.poll()
        return not pipeline.on or self._withdrawn

    def passes(self):
        """Return whether a client call is none of our business: switched off, or our own or the application's export."""
        pipeline = self.pipeline
        if monotonic() >= pipeline.poll_at:
            pipeline.poll()
        return (
            not pipeline.on
            or self._withdrawn
            or context.suppressed.get()
            or (self.join.here and self.join.suppressed())
        )

    def around(self):
        """Return (SpanContext or None, baggage) of the code that runs now: the application's OpenTelemetry knows best where it is in use."""
        return self.join.around()

    def begin(self, kind, method, target, parent):
        """Return the new Call below *parent* (SpanContext or None)."""
        pipeline = self.pipeline
        if self.join.here:
            outside = self.join.begin(kind, method, parent)
            if outside is not None:
                call = pipeline.settings.call(kind, method, target, *outside[1:])
                call.span = outside[0]
                return call
        return pipeline.settings.call(kind, method, target, *pipeline.start(kind, method, parent))

    def end(self, call, code, details="", error_type=None):
        """End *call*; the first ending told is the one that counts."""
        try:
            if not call.stop(code, details, error_type):
                return
            if call.span is None:
                self.pipeline.finish(call)
            else:
                self.join.end(call)
        except Exception as problem:
            self.pipeline.error(problem, "end")

    def failed(self, call, error):
        """End the client *call* that raised *error*: a status where it carries one, else what it is."""
        try:
            code = getattr(error, "code", None)
            if callable(code) and callable(getattr(error, "details", None)):
                self.end(call, status.number(code()), status.text(error.details()))
                return
        except Exception as problem:  # an error of the application's that only looks like grpc's
            log.debug("%r tells no status: %r" % (type(error), problem))
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else "%s.%s" % (kind.__module__, kind.__qualname__)
        # KeyboardInterrupt, GreenletExit: the caller went away
        self.end(call, status.UNKNOWN if isinstance(error, Exception) else status.CANCELLED, "", name)
