"""What the applications of the endings share: method kinds, (de)serializers that can be made to fail, and what is never to be told.

The method's name says what is to happen: /test.Endings/ENDING_KIND.
"""

import grpc

SECRET = b"s3cr3t"  # in every request, every response and every call's metadata; in no span
METADATA = (("authorization", "Bearer " + SECRET.decode()), ("x-token-bin", SECRET))
PATIENCE = 20  # seconds that nobody waits for unless something is wrong
DEADLINE = 0.5
LATE_BY = 0.25
LIMIT = 1 << 16  # bytes of a message that both sides take
OPTIONS = (("grpc.max_receive_message_length", LIMIT), ("grpc.so_reuseport", 0))
MAKERS = {
    "uu": (grpc.unary_unary_rpc_method_handler, "unary_unary"),
    "us": (grpc.unary_stream_rpc_method_handler, "unary_stream"),
    "su": (grpc.stream_unary_rpc_method_handler, "stream_unary"),
    "ss": (grpc.stream_stream_rpc_method_handler, "stream_stream"),
}
HUGE = SECRET * LIMIT
# Endings in which the server's handler reads nothing of what the client streams, and waits until the call is over.
WAITING = frozenset(
    (
        *(f"Hold{kind}" for kind in MAKERS), "CancelledByClient", "CancelledByTask", "Interrupted", "Deadline", "Abandoned", "Collected", "NeverIterated", "ChannelClosed",
        "ServerStopped", "RequestsRaise", "ServerKilled", "ServerExits", "ServerTerminated", "ClientKilled", "ClientExits",
        "ClientTerminated",
    )
)  # fmt: skip
UNREAD = WAITING | {"CancelledByServer", "ReturnEarly"}
# Clients that fail in the middle of what they stream: the server knows of the call then.
FAILING = frozenset(("RequestsRaise", "UnwritableRequest"))
# Endings of a stream that come after its first message.
LATE = frozenset(("AbortLate", "RaiseLate", "Abandoned", "Collected"))


def decode(data):
    """Deserialize on either side: fails for b"bad"."""
    if data == b"bad":
        raise ValueError("can't be read")
    return data


def encode(message):
    """Serialize on either side: fails for a number."""
    if not isinstance(message, bytes):
        raise ValueError("can't be written")  # noqa: TRY004 - the application's own business
    return message


def request_of(ending):
    """Return what the client sends."""
    return {"BadRequest": b"bad", "UnwritableRequest": 7, "HugeRequest": HUGE}.get(ending, SECRET)


def response_of(ending):
    """Return what the server sends."""
    return {"BadResponse": 7, "UnreadableResponse": b"bad", "HugeResponse": HUGE}.get(ending, SECRET)


def pause_of(ending):
    """Return how many seconds a client that streams waits before it half-closes."""
    return {"HalfCloseLate": LATE_BY, "ReturnEarly": 4 * LATE_BY}.get(ending, 0)


def split(method):
    """Return (ending, kind) of the path *method*."""
    ending, _, kind = method.rpartition("/")[2].partition("_")
    return ending, kind


class Handlers(grpc.GenericRpcHandler):
    """Every method of test.Endings, with the behavior that *behavior(ending, kind)* gives."""

    def __init__(self, behavior):
        self.behavior = behavior

    def service(self, details):
        ending, kind = split(details.method)
        if ending == "Unimplemented":
            return None
        return MAKERS[kind][0](self.behavior(ending, kind), decode, encode)


def multi_callable(channel, ending, kind):
    """Return the channel's multi-callable of that method."""
    return getattr(channel, MAKERS[kind][1])(f"/test.Endings/{ending}_{kind}", encode, decode)
