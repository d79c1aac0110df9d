"""OTLP in protobuf bytes, written by hand (opentelemetry-proto 1.10: trace.proto, metrics.proto, common.proto, resource.proto).

A message is a list of byte strings that is joined once. What repeats is encoded once: the resource, the scope, and for each (kind, method, target, ending)
all attributes that follow from those, so that a usual call costs some 5 µs on the exporter's thread. Field tags are written out as bytes
(number << 3 | wire type), each beside its field's name.
"""

import struct

from . import __version__, semconv, status
from .call import Call

_F64 = struct.Struct("<Q")  # fixed64
_F32 = struct.Struct("<I")  # fixed32
_DOUBLE = struct.Struct("<d")
_MAX_CACHED = 2048
_MAX_REPEATING = 64
_AT_ONCE = 16  # spans: 0.1 to 0.2 ms
_USUAL = 6  # attributes of sizes and peer: see semconv.varying_attributes
_LOW_64 = (1 << 64) - 1
_HAS_REMOTE = 0x100  # SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_IS_REMOTE = 0x200  # SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_DEPTH = 8  # nesting of attribute values; deeper is written as text


def varint(value):
    """Return the non-negative *value* as a base-128 varint."""
    if value < 128:  # noqa: PLR2004 - one byte
        return _ONE_BYTE[value]
    out = bytearray()
    while value > 127:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_ONE_BYTE = tuple(bytes((value,)) for value in range(128))


def field(tag, body):
    """Return the length-delimited field *tag* (one byte) with *body*."""
    return tag + varint(len(body)) + body


def text(value):
    """Return *value* as UTF-8; lone surrogates, which protobuf refuses, become question marks."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def any_value(value, depth=0):  # noqa: PLR0911 - one per type
    """Return *value* as an AnyValue. What the type has no place for (None, an int beyond 64 bits, an object) is written as text."""
    if isinstance(value, str):
        return field(b"\x0a", text(value))  # string_value = 1
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"  # bool_value = 2
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return b"\x18" + varint(value & 0xFFFFFFFFFFFFFFFF)  # int_value = 3
    if isinstance(value, float):
        return b"\x21" + _DOUBLE.pack(value)  # double_value = 4
    if isinstance(value, (bytes, bytearray)):
        return field(b"\x3a", bytes(value))  # bytes_value = 7
    if depth < _DEPTH:
        if isinstance(value, dict):
            return field(
                b"\x32", attributes(value.items(), b"\x0a", depth + 1)
            )  # kvlist_value = 6, KeyValueList.values = 1
        if isinstance(value, (list, tuple, set, frozenset)):  # array_value = 5, ArrayValue.values = 1
            return field(b"\x2a", b"".join([field(b"\x0a", any_value(member, depth + 1)) for member in value]))
    return field(b"\x0a", text(str(value)))


def attributes(items, tag, depth=0):
    """Return the (key, value) *items* as repeated KeyValue fields *tag*. One that can't be written is left out."""
    out = []
    for key, value in items:
        try:
            body = (_keys.get(key) or _key(key)) + field(b"\x12", any_value(value, depth))  # value = 2
            out.append(field(tag, body))
        except Exception:  # noqa: S112 - str() of an application's object may do anything; the other attributes still count
            continue
    return b"".join(out)


_keys = {}  # attribute names repeat: 1 µs each becomes 0.1


def _key(key):
    written = field(b"\x0a", text(str(key)))  # key = 1
    if len(_keys) < _MAX_CACHED:
        _keys[key] = written
    return written


def resource(items):
    """Return a Resource with the attributes *items*."""
    return attributes(items, b"\x0a")  # attributes = 1


def scope(name, version=""):
    """Return an InstrumentationScope."""
    return field(b"\x0a", text(name)) + (field(b"\x12", text(version)) if version else b"")  # name = 1, version = 2


def request(resource_bytes, scoped):
    """Return an Export{Trace,Metrics}ServiceRequest of one resource; *scoped*: (scope bytes, member field bytes) pairs. Both signals share the shape."""
    body = field(b"\x0a", resource_bytes)  # resource = 1
    for scope_bytes, members in scoped:  # scope_spans / scope_metrics = 2 {scope = 1, spans / metrics = 2}
        body += field(b"\x12", field(b"\x0a", scope_bytes) + members)
    return field(b"\x0a", body)  # resource_spans / resource_metrics = 1


def _clipped(items, length):
    """Return the (key, value) *items* with text values of at most *length* characters (None: any)."""
    return items if length is None else [(key, _clip(value, length)) for key, value in items]


def _clip(value, length):
    if isinstance(value, str):
        return value[:length]
    return [_clip(member, length) for member in value] if isinstance(value, (list, tuple)) else value


def _some(attrs, most, length, tag, dropped):
    """Return the first *most* of the dict *attrs* as fields *tag*, and how many were left out as the field *dropped*."""
    items = list((attrs or {}).items())
    return attributes(_clipped(items[:most], length), tag) + _dropped(dropped, len(items) - most)


def _dropped(tag, number):
    return tag + varint(number) if number > 0 else b""


def _events(events, dropped, limits):
    out = [_dropped(b"\x60", dropped)]  # dropped_events_count = 12
    for (
        time_ns,
        name,
        attrs,
    ) in events:  # Event: time_unix_nano = 1, name = 2, attributes = 3, dropped_attributes_count = 4
        body = b"\x09" + _F64.pack(time_ns) + field(b"\x12", text(name))
        body += _some(attrs, limits.event_attributes, limits.length, b"\x1a", b"\x20")
        out.append(field(b"\x5a", body))  # events = 11
    return out


def _links(links, dropped, limits):
    out = [_dropped(b"\x70", dropped)]  # dropped_links_count = 14
    # Link: trace_id = 1, span_id = 2, trace_state = 3, attributes = 4, dropped_attributes_count = 5, flags = 6
    for context, attrs in links:
        body = b"\x0a\x10" + context.trace_id.to_bytes(16, "big") + b"\x12\x08" + context.span_id.to_bytes(8, "big")
        if context.trace_state:
            body += field(b"\x1a", text(context.trace_state))
        flags = context.flags & 0xFF | _HAS_REMOTE | (_IS_REMOTE if context.remote else 0)
        body += _some(attrs, limits.link_attributes, limits.length, b"\x22", b"\x28")
        out.append(field(b"\x6a", body + b"\x35" + _F32.pack(flags)))  # links = 13
    return out


# trace_id = 1, span_id = 2, parent_span_id = 4, start_time_unix_nano = 7, end_time_unix_nano = 8, flags = 16; ids are big-endian, numbers little
_IDS = struct.Struct(">2sQQ2sQ").pack
_IDS_OF_CHILD = struct.Struct(">2sQQ2sQ2sQ").pack
_TIMES = struct.Struct("<cQcQ2sI").pack


def _head(span, remote_parent):
    """Return the fields that each span has: ids, times, flags."""
    context = span.context
    trace_id = context.trace_id
    high, low = trace_id >> 64, trace_id & _LOW_64
    if span.parent_id:
        ids = _IDS_OF_CHILD(b"\x0a\x10", high, low, b"\x12\x08", context.span_id, b"\x22\x08", span.parent_id)
    else:
        ids = _IDS(b"\x0a\x10", high, low, b"\x12\x08", context.span_id)
    if context.trace_state:
        ids += field(b"\x1a", text(context.trace_state))  # trace_state = 3
    flags = context.flags & 0xFF | _HAS_REMOTE | (_IS_REMOTE if remote_parent else 0)
    return ids + _TIMES(b"\x39", span.start_ns, b"\x41", span.end_ns, b"\x85\x01", flags)


def _status(code, message):
    body = (field(b"\x12", text(message)) if message else b"") + b"\x18" + _ONE_BYTE[code]  # message = 2, code = 3
    return field(b"\x7a", body)  # status = 15


class SpanEncoder:
    """Writes calls and manual spans. For one thread (the exporter's)."""

    def __init__(self, limits):
        self._limits = limits
        self._call_scope = scope("grpctracing", __version__)
        self._fixed = {}
        self._pairs = {}
        self._sizes = {}

    def batch(self, items, rest=None):
        """Return ([(scope bytes, spans field bytes)], [exception]): all *items* by scope, and why some could not be written. *rest*: see Work.encode."""
        calls, others, problems = [], {}, []
        for number, item in enumerate(items):
            if rest is not None and number and number % _AT_ONCE == 0:
                rest()
            try:
                if isinstance(item, Call):
                    calls.append(self.call(item))
                else:
                    others.setdefault((item.scope_name or "", item.scope_version or ""), []).append(self.manual(item))
            except Exception as problem:
                problems.append(problem)
        scoped = [(self._call_scope, b"".join(calls))] if calls else []
        scoped += [(scope(*name), b"".join(spans)) for name, spans in others.items()]
        return scoped, problems

    def call(self, call):
        """Return the finished *call* as a ScopeSpans.spans field."""
        if call.late is not None:
            call.settle()
        server = call.kind == status.SERVER
        # a server's target is the peer, whose port differs
        key = (call.kind, call.method, "" if server else call.target, call.code, call.error_type, call.keep)
        known = self._fixed.get(key)
        if known is None:
            known = self._encode_fixed(call)
            if len(self._fixed) >= _MAX_CACHED:
                self._fixed.clear()
            self._fixed[key] = known
        fixed, room = known
        told = call.attributes  # see bridge
        out = [_head(call, server), fixed, self._varying(call, room)]  # a server's parent came over the wire
        if call.events or told is not None:
            out += _events(
                call.events or (), call.dropped_events + (told.dropped_events if told is not None else 0), self._limits
            )
        if told is not None:
            if told.name is not None:
                out.append(field(b"\x2a", text(told.name)))  # a field that comes again takes the place of the first
            out += _links(told.links, told.dropped_links, self._limits)
        if told is not None and told.status_code == 1:  # OK, which is final
            out.append(_status(1, ""))
        elif status.is_error(call.kind, call.code):
            out.append(_status(2, call.details))
        elif told is not None and told.status_code:
            out.append(_status(told.status_code, told.status_message))
        return field(b"\x12", b"".join(out))

    def _varying(self, call, room):
        """Return the attributes that differ from call to call, *room* of them."""
        if (
            not call.counts
            or call.attributes is not None
            or call.metadata
            or call.original is not None
            or room < _USUAL
        ):
            return self._unusual(call, room)
        # A method's messages are often of the same few sizes, and a peer makes many calls.
        key = (
            call.sent,
            call.received,
            call.bytes_sent,
            call.bytes_received,
            call.target if call.kind == status.SERVER else "",
        )
        written = self._sizes.get(key)
        if written is None:
            written = self._unusual(call, room)
            if len(self._sizes) >= _MAX_CACHED:
                self._sizes.clear()
            self._sizes[key] = written
        return written

    def _unusual(self, call, room):
        """As _varying. Counts, small sizes and peers repeat: 1 µs each becomes 0.15."""
        out = []
        items = semconv.varying_attributes(call)
        dropped = max(0, len(items) - room)
        if call.attributes is not None:
            dropped += call.attributes.dropped_attributes
        if dropped:
            out.append(_dropped(b"\x50", dropped))  # dropped_attributes_count = 10
            items = items[: max(0, room)]
        for item in _clipped(items, self._limits.span_length):
            # by exact type: 1, 1.0 and True are one key to a dict
            repeats = type(item[1]) is int or (type(item[1]) is str and len(item[1]) <= _MAX_REPEATING)
            written = self._pairs.get(item) if repeats else None
            if written is None:
                written = attributes((item,), b"\x4a")
                if repeats:
                    if len(self._pairs) >= _MAX_CACHED:
                        self._pairs.clear()
                    self._pairs[item] = written
            out.append(written)
        return b"".join(out)

    def _encode_fixed(self, call):
        name = field(b"\x2a", text(semconv.span_name(call))) + b"\x30" + _ONE_BYTE[call.kind]  # name = 5, kind = 6
        items = semconv.fixed_attributes(call)
        most = self._limits.attributes
        written = attributes(_clipped(items[:most], self._limits.span_length), b"\x4a")  # attributes = 9
        return name + written, most - len(items)

    def manual(self, span):
        """Return the ManualSpan *span* as a ScopeSpans.spans field."""
        out = [_head(span, False), field(b"\x2a", text(span.name)), b"\x30", _ONE_BYTE[span.kind]]  # noqa: FBT003 - its parent is a span of this process
        limits = self._limits
        out.append(attributes(_clipped((span.attributes or {}).items(), limits.span_length), b"\x4a"))
        out.append(_dropped(b"\x50", span.dropped_attributes))  # dropped_attributes_count = 10
        out += _events(span.events or (), span.dropped_events, limits)
        out += _links(span.links or (), span.dropped_links, limits)
        if span.status_code:
            out.append(_status(span.status_code, span.status_message or ""))
        return field(b"\x12", b"".join(out))
