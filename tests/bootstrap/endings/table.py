"""The expectations: one row for each ending, kinds of calls and stack that are told alike. Pure data; the tests and docs/endings.md are made of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

ALL = ("uu", "us", "su", "ss")
BLOCKING = ("uu", "su")
STREAMS = ("us", "ss")  # the server streams
UPLOADS = ("su", "ss")  # the client streams
BOTH = ("sync", "aio")
# RPC semantic conventions, docs/rpc/grpc.md: what is the server's fault. For a client everything but OK is an error.
SERVER_ERRORS = frozenset(("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"))


@dataclass(frozen=True, slots=True)
class Row:
    """One row. Codes: "" is no span, "A|B" is one of these by grpc's own chance. Descriptions are regular expressions."""

    name: str
    what: str
    client: str
    server: str
    says: str = ""  # the client's description, and the server's where its status is an error
    server_says: str | None = None
    kinds: tuple[str, ...] = ALL
    stacks: tuple[str, ...] = BOTH
    seen: str = ""  # what the application sees, where that is not the client's code
    error_type: str = ""  # of the client, where that is not the code
    but: tuple[str, ...] = ()  # ways to serve or to call that have no such ending, or lose it themselves

    def codes(self, side: str) -> set[str]:
        """Return the codes that the span of *side* may have; empty: there is no span."""
        return set(filter(None, getattr(self, side.lower()).split("|")))

    def status(self, side: str, code: str) -> str:
        """Return the span status of *side*."""
        failed = code != "OK" if side == "CLIENT" else code in SERVER_ERRORS
        return "ERROR" if failed else "UNSET"

    def description(self, side: str, code: str) -> str:
        """Return the pattern of the description on *side*."""
        if self.status(side, code) == "UNSET":
            return ""
        return self.says if side == "CLIENT" or self.server_says is None else self.server_says

    def views(self, stack: str, kind: str) -> set[str]:
        """Return what the application may see. Where a server ends a call that the client still writes to, grpc.aio says INTERNAL by chance."""
        chance = {"INTERNAL"} if stack == "aio" and kind in UPLOADS and self.client != "OK" else set()
        return ({self.seen} if self.seen else self.codes("CLIENT")) | chance


def _plain(text: str) -> str:
    return re.escape(text)


_LOCALLY = "Locally cancelled by application!"
_COLLECTED = "Cancelled upon garbage collection!"
_STOPPED = "Cancelling all calls"
_TOO_LONG = r"Received message larger than max \(\d+ vs\. \d+\)"
_LOST = r".+"  # differs between systems: Socket closed, connection reset, …

CALLS = (
    Row("Ok", "returns", "OK", "OK"),
    Row("Abort", "`context.abort(NOT_FOUND, …)`", "NOT_FOUND", "NOT_FOUND", "no such thing"),
    Row("AbortWithStatus", "`context.abort_with_status(…)`", "NOT_FOUND", "NOT_FOUND", "no such thing", stacks=("sync",)),
    Row("AbortLate", "aborts after the first message", "NOT_FOUND", "NOT_FOUND", "no such thing", kinds=STREAMS, but=("aio-threads",)),
    Row("SetCode", "`context.set_code(FAILED_PRECONDITION)`", "FAILED_PRECONDITION", "FAILED_PRECONDITION", "not now"),
    Row("SetCodeOfServer", "`context.set_code(DATA_LOSS)`", "DATA_LOSS", "DATA_LOSS", "it was there"),
    Row("Raise", "raises", "UNKNOWN", "UNKNOWN", "Exception calling application: oh no", kinds=BLOCKING, stacks=("sync",)),
    Row("Raise", "raises", "UNKNOWN", "UNKNOWN", "Exception iterating responses: oh no", kinds=STREAMS, stacks=("sync",)),
    Row("Raise", "raises", "UNKNOWN", "UNKNOWN", "Unexpected <class 'ValueError'>: oh no", stacks=("aio",)),
    Row("RaiseLate", "raises after the first message", "UNKNOWN", "UNKNOWN", "Exception iterating responses: oh no", kinds=STREAMS, stacks=("sync",)),
    Row("RaiseLate", "raises after the first message", "UNKNOWN", "UNKNOWN", "Unexpected <class 'ValueError'>: oh no", kinds=STREAMS, stacks=("aio",)),
    Row("RaiseAfterCode", "raises after `set_code(ABORTED)`", "ABORTED", "ABORTED", ".*oh no"),
    Row("InterceptorAborts", "an interceptor of the server's aborts", "UNAUTHENTICATED", "UNAUTHENTICATED", "who are you"),
    Row("InterceptorRaises", "an interceptor of the server's raises", "UNKNOWN", "UNKNOWN", "Error in service handler!", stacks=("sync",)),
    Row("InterceptorRaises", "an interceptor of the server's raises", "UNKNOWN", "UNKNOWN", "Unexpected <class 'ValueError'>: oh no", stacks=("aio",)),
    Row("CancelledByClient", "the client calls `cancel()`", "CANCELLED", "CANCELLED", _LOCALLY),
    Row("CancelledByTask", "the task that waits for the call is cancelled", "CANCELLED", "CANCELLED", _LOCALLY, stacks=("aio",), seen="CancelledError"),
    Row("Interrupted", "Ctrl-C while waiting for the call", "CANCELLED", "CANCELLED", "", kinds=BLOCKING, stacks=("sync",), seen="KeyboardInterrupt", error_type="KeyboardInterrupt"),
    Row("CancelledByServer", "`context.cancel()`", "CANCELLED", "CANCELLED", "CANCELLED", stacks=("sync",)),
    Row("CancelledByServer", "the handler's task is cancelled; grpc.aio lets the client wait for its deadline", "DEADLINE_EXCEEDED", "CANCELLED", ".*Deadline Exceeded.*", stacks=("aio",), but=("aio-threads",)),
    Row("Deadline", "the deadline passes; a server that the call reached late sees it cancelled by its client", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED|CANCELLED", "(Stream removed .)?Deadline Exceeded.?", server_says=""),
    Row("Unimplemented", "no such method", "UNIMPLEMENTED", "UNIMPLEMENTED", "Method not found!"),
    Row("Refused", "`maximum_concurrent_rpcs` is reached", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", "Concurrent RPC limit exceeded!"),
    Row("Abandoned", "the stream is let go of after a `break`", "CANCELLED", "CANCELLED", _COLLECTED, kinds=STREAMS, stacks=("sync",), seen="OK"),
    Row("Collected", "the stream is let go of in a reference cycle", "CANCELLED", "CANCELLED", _COLLECTED, kinds=STREAMS, stacks=("sync",), seen="OK"),
    Row("NeverIterated", "the stream is let go of unread", "CANCELLED", "CANCELLED", _COLLECTED, kinds=STREAMS, stacks=("sync",), seen="OK"),
    Row("Abandoned", "the stream is let go of after a `break`, and its channel closed", "CANCELLED", "CANCELLED", _LOCALLY, kinds=STREAMS, stacks=("aio",), seen="OK"),
    Row("Collected", "the stream is let go of in a reference cycle, and its channel closed", "CANCELLED", "CANCELLED", _LOCALLY, kinds=STREAMS, stacks=("aio",), seen="OK"),
    Row("NeverIterated", "the stream is let go of unread, and its channel closed", "CANCELLED", "CANCELLED", _LOCALLY, kinds=STREAMS, stacks=("aio",), seen="OK"),
    Row("ChannelClosed", "the client closes its channel", "CANCELLED", "CANCELLED", "Channel closed!", stacks=("sync",)),
    Row("ChannelClosed", "the client closes its channel", "CANCELLED", "CANCELLED", _LOCALLY, stacks=("aio",)),
    Row("ServerStopped", "`server.stop(0)`", "UNAVAILABLE", "UNAVAILABLE", _LOST, server_says=_STOPPED),  # or the connection is gone before that text is there
    Row("ReturnEarly", "returns while the client still streams", "OK", "OK", kinds=UPLOADS),
    Row("HalfCloseLate", "the client half-closes late", "OK", "OK", kinds=UPLOADS),
    Row("RequestsRaise", "the client's iterator of requests raises", "UNKNOWN", "CANCELLED", "Exception iterating requests!", kinds=UPLOADS, stacks=("sync",)),
    Row("RequestsRaise", "the client's iterator of requests raises", "CANCELLED", "CANCELLED", _LOCALLY, kinds=UPLOADS, stacks=("aio",), seen="CancelledError"),
    Row("UnwritableRequest", "the request can't be serialized", "INTERNAL", "", "Exception serializing request!", kinds=("uu", "us"), stacks=("sync",)),
    Row("UnwritableRequest", "a streamed request can't be serialized", "INTERNAL", "CANCELLED", "Exception serializing request!", kinds=UPLOADS, stacks=("sync",)),
    Row("UnwritableRequest", "the request can't be serialized: grpc.aio sends an empty one", "OK", "OK", stacks=("aio",)),
    Row("BadRequest", "the request can't be deserialized", "INTERNAL", "INTERNAL", "Exception deserializing request!", stacks=("sync",)),
    Row("BadRequest", "the request can't be deserialized", "UNKNOWN", "UNKNOWN", "Unexpected <class 'ValueError'>: can't be read", stacks=("aio",)),
    Row("BadResponse", "the response can't be serialized", "INTERNAL", "INTERNAL", "Failed to serialize response!", stacks=("sync",)),
    Row("BadResponse", "the response can't be serialized", "UNKNOWN", "UNKNOWN", "Unexpected <class 'ValueError'>: can't be written", stacks=("aio",)),
    Row("UnreadableResponse", "the response can't be deserialized", "INTERNAL", "OK|CANCELLED", "Exception deserializing response!", stacks=("sync",)),
    Row("UnreadableResponse", "the response can't be deserialized: grpc.aio gives None", "OK", "OK", stacks=("aio",)),
    Row("HugeRequest", "the request is longer than the server takes: its core answers, its handlers see a call that is cancelled", "RESOURCE_EXHAUSTED", "CANCELLED", "SERVER: " + _TOO_LONG, stacks=("sync",)),
    Row("HugeRequest", "the request is longer than the server takes: its core answers, its handlers see a call that is cancelled", "RESOURCE_EXHAUSTED", "CANCELLED", "SERVER: " + _TOO_LONG, kinds=("uu", "us", "ss"), stacks=("aio",)),
    Row("HugeRequest", "a streamed request is longer than the server takes: its core answers, its handler sees the end of the requests", "RESOURCE_EXHAUSTED", "OK|CANCELLED", "SERVER: " + _TOO_LONG, kinds=("su",), stacks=("aio",)),
    Row("HugeResponse", "the response is longer than the client takes", "RESOURCE_EXHAUSTED", "OK|CANCELLED", ".*CLIENT: " + _TOO_LONG + ".*"),
    Row("Unreachable", "nobody listens", "UNAVAILABLE", "", "failed to connect to all addresses.*"),
)  # fmt: skip

_GONE = "the process ended first"
# Endings that take one of the two processes with them. Their handlers have begun.
LIVES = (
    Row("ServerKilled", "the server's process is killed", "UNAVAILABLE", "", _LOST),
    Row("ServerTerminated", "the server's process dies of SIGTERM", "UNAVAILABLE", "UNAVAILABLE", _LOST, server_says=_GONE),
    Row("ServerExits", "the server's event loop ends", "CANCELLED|UNAVAILABLE", "CANCELLED", _LOST, stacks=("aio",)),
    Row("ClientKilled", "the client's process is killed", "", "CANCELLED"),
    Row("ClientTerminated", "the client's process dies of SIGTERM", "CANCELLED", "CANCELLED", _GONE),
    Row("ClientExits", "the client's process ends", "CANCELLED", "CANCELLED", _GONE, stacks=("sync",)),
    Row("ClientExits", "the client's process ends", "CANCELLED", "CANCELLED", _LOCALLY, stacks=("aio",)),
)  # fmt: skip
EVERYTHING = (*CALLS, *LIVES)


def cells(rows: tuple[Row, ...], stack: str, way: str = "") -> dict[str, Row]:
    """Return {"Ending_kind": row} of a *stack*, as far as the *way* to call and serve knows them."""
    return {
        f"{row.name}_{kind}": row
        for row in rows
        if stack in row.stacks and way not in row.but
        for kind in row.kinds
    }  # fmt: skip
