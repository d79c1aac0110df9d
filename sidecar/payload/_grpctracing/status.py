"""Endings of a call as gRPC status codes. Pure: numbers and names in, numbers out."""

NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
SERVER, CLIENT = 2, 3  # span kinds, as OTLP numbers them
OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED = 0, 1, 2, 4
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 8, 12, 13, 14
STOPPED = "Cancelling all calls"  # what grpc's core tells the clients of a server that is stopped
CLOCKS_DIFFER = 0.005  # seconds by which a wait for a time may end early

# grpc-timeout is rounded up on the wire to at most 1 % and 10 ms more (gRPC core, timeout_encoding), so a server is told
# of the client's deadline as a cancellation that comes that much before its own.
_ROUNDED = 0.01
_EARLY_SECONDS = 0.02


# docs/rpc/grpc.md, "gRPC status": what is the server's fault
_SERVER_ERRORS = frozenset(
    map(NAMES.index, ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))
)


def is_error(kind, code):
    """Return whether the span of a call of *kind* that ended with *code* has status Error."""
    return code != OK and (kind == CLIENT or code in _SERVER_ERRORS)


def number(code):
    """Return the number of a grpc.StatusCode or an integer; what grpc does not know it sends as UNKNOWN."""
    value = getattr(code, "value", code)
    if isinstance(value, tuple):  # grpc.StatusCode.X.value is (number, text)
        value = value[0]
    return value if isinstance(value, int) and 0 <= value < len(NAMES) else UNKNOWN


def name(code):
    """Return the name of the number *code*."""
    return NAMES[code] if 0 <= code < len(NAMES) else "UNKNOWN"


def cut_short(remaining, elapsed):
    """Return how a call ended that the other side gave up: *remaining* seconds to its deadline (None: it has none) after *elapsed* seconds."""
    if remaining is not None and remaining <= _EARLY_SECONDS + _ROUNDED * elapsed:
        return DEADLINE_EXCEEDED
    return CANCELLED


def text(details):
    """Return status details, which grpc gives as str, bytes or None, as str."""
    if isinstance(details, bytes):
        return details.decode("utf-8", "replace")
    return details if isinstance(details, str) else ""
