"""Context in gRPC metadata: W3C `traceparent`/`tracestate`/`baggage` and B3, in the forms and with the limits of the official propagators.

Baggage is opaque here: it is checked for size and handed on as it came, properties included. Where several propagators find a context the last named
wins, as in the official composite. Metadata keys are lower case in gRPC; of repeated single-value headers the first counts.
"""

import struct

from .context import NOTHING, SpanContext

_MAX_TRACEPARENT = 512
_MAX_HEADER = 8192
_MAX_STATES = 32
_MAX_BAGGAGE_MEMBERS = 180
_B3_SAMPLED = ("1", "True", "true", "d")
_HEX = frozenset("0123456789abcdefABCDEF")

_traceparent = None  # compiled at the first one: a pattern costs 1 ms
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_IDS = struct.Struct(">QQQB").unpack  # a trace id's two halves, a span id, the flags
_IDS_SIZE = 25
_TRACEPARENT = "traceparent"
_FLAGS = tuple(["-%02x" % flags for flags in range(256)])
_hexadecimal = bytes.fromhex
_states = {}  # tracestate text as received → as sent on; the same few texts come again and again
_member = None  # compiled at the first tracestate: a pattern costs 1 ms


def parse_traceparent(text):
    """Return (trace id, span id, flags), in hexadecimal digits, of a traceparent, or None (W3C Trace Context, 3.2)."""
    global _traceparent
    if _traceparent is None:
        import re

        # a later version may have more fields; ff is none
        _traceparent = re.compile(
            "(?:00()|(?!ff)[0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
        ).fullmatch
    if len(text) != 55:  # noqa: PLR2004 - the length of version 00; anything else is rare
        if len(text) > _MAX_TRACEPARENT:
            return None
        text = text.strip(" \t")
    found = _traceparent(text)
    if found is None:
        return None
    first, trace_id, span_id, flags, more = found.groups()
    if trace_id == _NO_TRACE or span_id == _NO_SPAN or (more and first is not None):
        return None
    return trace_id, span_id, flags


def parse_tracestate(text):
    """Return *text* normalised, or "" when any member is malformed, repeated, or one too many (W3C Trace Context, 3.3)."""
    if len(text) > _MAX_HEADER:
        return ""
    known = _states.get(text)
    if known is None:
        known = _parse_tracestate(text)
        if len(_states) >= 256:  # noqa: PLR2004 - bounded: a tracestate may differ per call
            _states.clear()
        _states[text] = known
    return known


def _parse_tracestate(text):
    global _member
    if _member is None:
        import re

        _member = re.compile(
            r"(?:[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13})"
            r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
        )
    members = [member for member in (part.strip(" \t") for part in text.split(",")) if member]
    if len(members) > _MAX_STATES or not all(_member.fullmatch(member) for member in members):
        return ""
    if len({member.partition("=")[0] for member in members}) != len(members):
        return ""
    return ",".join(members)


def _b3_ids(trace_id, span_id, flags):
    """Return a SpanContext of hexadecimal ids (16 or 32, and 16 digits), or None."""
    if len(trace_id) not in {16, 32} or len(span_id) != 16 or not _HEX.issuperset(trace_id + span_id):  # noqa: PLR2004 - the lengths of B3
        return None
    context = SpanContext(int(trace_id, 16), int(span_id, 16), flags, "", True)  # noqa: FBT003 - remote
    return context if context.trace_id and context.span_id else None


def _extract_w3c(headers):
    found = parse_traceparent(headers.get("traceparent", ""))
    if found is None:
        return None
    state = headers.get("tracestate")
    return _context(found, parse_tracestate(state) if state else "")


def _usual(text):
    """Return what extract does for a good traceparent of version 00 alone, None for all others. As parse_traceparent, at half of its price (2 µs)."""
    if len(text) != 55 or text[:3] != "00-" or text[35] != "-" or text[52] != "-":  # noqa: PLR2004 - the form of version 00
        return None
    trace_id = text[3:35]
    try:
        ids = _hexadecimal(trace_id + text[36:52] + text[53:])
    except ValueError:
        return None
    if len(ids) != _IDS_SIZE or text != text.lower():  # with spaces between the digits; with capitals
        return None
    high, low, span_id, flags = _IDS(ids)
    if not span_id or not (high or low):
        return None
    return SpanContext(high << 64 | low, span_id, flags, "", True, trace_id), ""  # noqa: FBT003 - remote


def _context(found, state):
    trace_id, span_id, flags = found
    return SpanContext(int(trace_id, 16), int(span_id, 16), int(flags, 16), state, True, trace_id)  # noqa: FBT003 - remote


def _extract_b3(headers):
    """Read the single header where there is one, else the several, whichever of the two propagators is configured (as the official ones do)."""
    single = headers.get("b3")
    if single:
        fields = single.split("-", 4)
        if not 2 <= len(fields) <= 4:  # noqa: PLR2004 - "0" alone carries no ids; ids, then sampling state, then parent
            return None
        # without a sampling state the decision is deferred to us; the official propagator takes that as sampled
        return _b3_ids(fields[0], fields[1], 1 if len(fields) == 2 or fields[2] in _B3_SAMPLED else 0)  # noqa: PLR2004 - as above
    sampled = headers.get("x-b3-sampled") in _B3_SAMPLED or headers.get("x-b3-flags") == "1"
    return _b3_ids(headers.get("x-b3-traceid", ""), headers.get("x-b3-spanid", ""), 1 if sampled else 0)


def _traceparent_of(context):
    trace_id = context.hexadecimal
    if trace_id is None:
        trace_id = context.hexadecimal = context.trace_id.to_bytes(16, "big").hex()  # half the price of "%032x"
    return "00-" + trace_id + "-" + context.span_id.to_bytes(8, "big").hex() + _FLAGS[context.flags & 255]


def _inject_w3c(context):
    pair = (_TRACEPARENT, _traceparent_of(context))
    return [pair, ("tracestate", context.trace_state)] if context.trace_state else [pair]


def _inject_b3(context):
    return [("b3", "%032x-%016x-%d" % (context.trace_id, context.span_id, context.flags & 1))]


def _inject_b3multi(context):
    return [
        ("x-b3-traceid", "%032x" % context.trace_id),
        ("x-b3-spanid", "%016x" % context.span_id),
        ("x-b3-sampled", "%d" % (context.flags & 1)),
    ]


_B3_READ = ("b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags")
# name → (headers read, headers written, extract, inject)
_FORMATS = {
    "tracecontext": (("traceparent", "tracestate"), ("traceparent", "tracestate"), _extract_w3c, _inject_w3c),
    "b3": (_B3_READ, ("b3",), _extract_b3, _inject_b3),
    "b3multi": (_B3_READ, ("x-b3-traceid", "x-b3-spanid", "x-b3-sampled"), _extract_b3, _inject_b3multi),
}
NAMES = (*_FORMATS, "baggage", "none")
DEFAULT = ("tracecontext", "baggage")


def _baggage(text):
    """Return *text* if the W3C limits allow it to travel on: at most 8192 bytes; members past the 180th are left behind."""
    if not text or len(text) > _MAX_HEADER:
        return ""
    if text.count(",") >= _MAX_BAGGAGE_MEMBERS:
        return ",".join(text.split(",", _MAX_BAGGAGE_MEMBERS)[:_MAX_BAGGAGE_MEMBERS])
    return text


class Propagation:
    """The configured propagators as one. *names*: of `NAMES`, in the user's order; "none" alone means nothing is read or written."""

    __slots__ = ("_alone", "_baggage", "_extracts", "_injects", "_read", "header_names")

    def __init__(self, names=DEFAULT):
        formats = [_FORMATS[name] for name in names if name in _FORMATS]
        self._baggage = "baggage" in names
        extra = ("baggage",) if self._baggage else ()
        self._read = frozenset(extra + tuple(header for form in formats for header in form[0]))
        self.header_names = frozenset(extra + tuple(header for form in formats for header in form[1]))
        self._extracts = tuple(form[2] for form in formats)
        self._injects = tuple(form[3] for form in formats)
        self._alone = self._extracts == (_extract_w3c,)

    def extract(self, metadata):
        """Return (SpanContext or None, baggage text) of *metadata*, an iterable of (key, value) or None.

        As a rule there is a traceparent and nothing else of ours: that is looked for first.
        """
        text, read = None, self._read
        for key, value in metadata or ():
            if key in read:
                if text is not None or key != "traceparent" or not isinstance(value, str):
                    return self._extract(metadata)
                text = value
        if text is None:
            return NOTHING
        if not self._alone:
            return self._extract(metadata)
        return _usual(text) or (_extract_w3c({"traceparent": text}), "")

    def _extract(self, metadata):
        headers = {}
        for key, value in metadata or ():
            if key in self._read and isinstance(value, str):
                if key not in headers:
                    headers[key] = value
                elif key in {"tracestate", "baggage"}:  # list headers: repeated means continued (RFC 9110, 5.3)
                    headers[key] += "," + value
        if not headers:
            return None, ""
        found = None
        for extract in self._extracts:
            found = extract(headers) or found
        return found, _baggage(headers.get("baggage")) if self._baggage else ""

    def inject(self, context, baggage):
        """Return the (key, value) pairs that carry *context* (SpanContext or None) and *baggage*."""
        if self._alone and context is not None and not baggage and not context.trace_state:
            return ((_TRACEPARENT, _traceparent_of(context)),)
        pairs = []
        if context is not None:
            for inject in self._injects:
                pairs += inject(context)
        if baggage and self._baggage:
            pairs.append(("baggage", baggage))
        return pairs
