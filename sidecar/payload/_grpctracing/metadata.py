"""Metadata of the application's calls: what we add, replace, and capture. Order, duplicates and the pairs themselves stay as they are."""

from . import log
from .context import current

_CLIENT = 3
_EXPORTERS = "/opentelemetry.proto.collector."  # the application's own OTLP exporter: tracing it would never end
_MAX_METHODS = 4096
_ROOM = 7168  # bytes of all metadata: grpc refuses a call with more than 8 KiB, its own headers and the trace context among them
_PAIR = 32  # bytes that each pair counts besides its key and its value (RFC 7541, 4.1)


class Outgoing:
    """How a client call begins, sync or asyncio: parent, Call, and the metadata to send."""

    def __init__(self, calls):
        self.calls = calls
        self._methods = {}

    def begin(self, path, given, target_of, where):
        """Return (Call or None, metadata to send) of a call of the method *path* (bytes), with the application's metadata *given*.

        *target_of(where)* gives the channel's target. Iterates *given*, and so raises what grpc would.
        """
        if given is not None and not isinstance(given, (list, tuple)):
            try:
                given = tuple(given)
            except TypeError:  # nothing that can be iterated: grpc says so
                return None, given
        calls = self.calls
        try:
            method = self._methods.get(path)
            if method is None:
                method = self._known(path)
            if method is False:
                return None, given
            pipeline = calls.pipeline
            parent, baggage = calls.join.around() if calls.join.here else current.get()
            if parent is None and given and _has(given, pipeline.header_names):
                parent, baggage = pipeline.extract(_sound(given))  # the application hands a context on itself
            record, context = None, parent
            if baggage:
                baggage = _fitting(baggage, given)
            excluded = pipeline.exclusions.get(method)
            if not (calls.excluded(method) if excluded is None else excluded):
                record = calls.begin(_CLIENT, method, target_of(where), parent)
                context = record.context
                names = pipeline.settings.request_metadata
                if names:
                    record.metadata = captured("rpc.request.metadata.", given, names)
            pairs = pipeline.inject(context, baggage)
            return record, (carried(given, pairs) if given else tuple(pairs)) if pairs else given
        except Exception as problem:
            calls.pipeline.error(problem, "client")
            return None, given

    def _known(self, path):
        """Return *path* as text, False where it is one of an exporter's."""
        method = path.decode("utf-8", "replace") if isinstance(path, bytes) else str(path)
        if method.startswith(_EXPORTERS):
            method = False
        if len(self._methods) < _MAX_METHODS:
            self._methods[path] = method
        return method


def carried(metadata, pairs):
    """Return the collection *metadata* (or None) as a tuple with our *pairs* last, in the place of older ones of the same keys."""
    if not metadata:
        return tuple(pairs)
    ours = {key for key, _ in pairs}
    if "traceparent" in ours:
        ours.add("tracestate")  # an older one would belong to another trace
    if _has(metadata, ours):
        pairs = [(key, _merged(value, metadata) if key == "baggage" else value) for key, value in pairs]
        metadata = (pair for pair in metadata if not _has((pair,), ours))
    return (*metadata, *pairs)


def _fitting(baggage, metadata):
    """Return of the *baggage* header the members for which there is room beside the application's *metadata*: they must not be what makes grpc refuse the call."""
    room = _ROOM - sum(
        _PAIR + len(pair[0]) + len(pair[1]) for pair in _sound(metadata or ()) if isinstance(pair[1], (str, bytes))
    )
    return baggage if len(baggage) <= room else baggage[: max(0, room)].rpartition(",")[0]


def _merged(header, metadata):
    """Return the baggage that the application's *metadata* has of its own (Sentry's, for one), and what *header* has besides."""
    own = [pair[1] for pair in metadata if _has((pair,), ("baggage",))]
    own = [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in own]
    known = {member.partition("=")[0].strip() for value in own for member in value.split(",")}
    return ",".join([*own, *(member for member in header.split(",") if member.partition("=")[0].strip() not in known)])


def captured(prefix, metadata, names):
    """Return ((prefix + name, [values]), …) of the *names* that *metadata* has, for spans. Binary values are left out."""
    found = {}
    for key, value in _sound(metadata or ()):
        if key in names and isinstance(value, str):
            found.setdefault(key, []).append(value)
    return tuple((prefix + key, values) for key, values in found.items())


def answered(call, names, metadata):
    """Add what of *names* the response's *metadata* (initial or trailing, or None) has to what *call* tells."""
    found = dict(call.metadata or ())
    try:
        pairs = captured("rpc.response.metadata.", metadata, names)
    except Exception:  # the application's, and nothing that can be iterated
        return
    for key, values in pairs:
        found[key] = [*found.get(key, ()), *values]
    call.metadata = tuple(found.items())


def told(call, names, source):
    """As `answered`, of all that *source* has: grpc's own call, or an error, which may be any of the application's."""
    try:
        if callable(getattr(source, "initial_metadata", None)):
            answered(call, names, source.initial_metadata())
            answered(call, names, source.trailing_metadata())
    except Exception as problem:
        log.debug("%r tells no metadata: %r" % (type(source), problem))


def _has(metadata, names):
    """Return whether *metadata* has one of the keys *names*. Pairs may be malformed: grpc tells the application, not we."""
    for pair in metadata:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:  # noqa: PLR2004 - a pair
            continue
        key = pair[0]
        if isinstance(key, bytes):
            key = key.decode("latin-1")
        if isinstance(key, str) and key in names:
            return True
    return False


def _sound(metadata):
    """Return those of the pairs that are some."""
    return [
        pair
        for pair in metadata
        if isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str)  # noqa: PLR2004 - a pair
    ]
