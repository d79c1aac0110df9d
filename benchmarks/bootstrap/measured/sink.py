"""The Collector's stand-in: takes OTLP requests as bytes and counts their spans only when asked, between two loads, so that it disturbs none."""

from __future__ import annotations

import os
from concurrent import futures

import grpc
from control import commands, say

_SPANS_AT = (2, 2)  # ResourceSpans.scope_spans, ScopeSpans.spans; the request's own field is 1


def varint(body: bytes, at: int) -> tuple[int, int]:
    """Return the varint at *at* and where it ends."""
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - a varint's last byte
            return value, at
        shift += 7


def parts(body: bytes, start: int, end: int, number: int) -> list[tuple[int, int]]:
    """Return where the length-delimited fields *number* of the message at *start* to *end* lie. OTLP's envelopes have no fields of another type."""
    found = []
    while start < end:
        tag, start = varint(body, start)
        size, start = varint(body, start)
        if tag == number << 3 | 2:
            found.append((start, start + size))
        start += size
    return found


def spans(body: bytes) -> int:
    """Return how many spans the ExportTraceServiceRequest *body* carries."""
    level = parts(body, 0, len(body), 1)
    for number in _SPANS_AT:
        level = [part for at, end in level for part in parts(body, at, end, number)]
    return len(level)


def main() -> None:
    """Take what comes until stdin ends."""
    os.nice(19)  # it shares the client's CPU, which a real Collector does not: it takes what is left
    taken: dict[str, list[bytes]] = {"trace": [], "metrics": [], "logs": []}

    class Service(grpc.GenericRpcHandler):
        def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            signal = call.method.split(".")[3]  # /opentelemetry.proto.collector.trace.v1.TraceService/Export

            def export(body: bytes, _context: object) -> bytes:
                taken[signal].append(body)
                return b""

            return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Service(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say(port=port)
    for _ in commands():
        traces, taken["trace"] = taken["trace"], []
        taken["metrics"].clear()
        say(spans=sum(map(spans, traces)), requests=len(traces), bytes=sum(map(len, traces)))
    server.stop(None).wait()


if __name__ == "__main__":
    main()
