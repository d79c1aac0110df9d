"""An OTLP/gRPC receiver inside the test process, which decodes with the official opentelemetry-proto."""

from __future__ import annotations

import threading
import time
from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}


@dataclass
class Span:
    """One span as received: ids as hexadecimal text, times in ns, status as UNSET/OK/ERROR."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    flags: int
    start: int
    end: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    links: list[tuple[str, str]]
    status: str
    message: str
    service: str
    scope: str

    @property
    def code(self) -> str:
        """The call's gRPC status code by name."""
        return self.attributes["rpc.response.status_code"]


def value(any_value: Any) -> Any:
    """Return an AnyValue as a Python object."""
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(member) for member in any_value.array_value.values]
    return getattr(any_value, kind) if kind else None


def attributes(pairs: Any) -> dict[str, Any]:
    """Return KeyValues as a dict; no key comes twice."""
    found = {pair.key: value(pair.value) for pair in pairs}
    assert len(found) == len(pairs), [pair.key for pair in pairs]
    return found


def spans_of(request: ExportTraceServiceRequest) -> list[Span]:
    """Return the spans of one request."""
    return [
        Span(
            span.name,
            KINDS[span.kind],
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.flags,
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            attributes(span.attributes),
            [(event.name, attributes(event.attributes)) for event in span.events],
            [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
            ("UNSET", "OK", "ERROR")[span.status.code],
            span.status.message,
            attributes(resource.resource.attributes)["service.name"],
            scoped.scope.name,
        )
        for resource in request.resource_spans
        for scoped in resource.scope_spans
        for span in scoped.spans
    ]


@dataclass
class Receiver:
    """A Collector for tests: `spans` and `metrics` hold what arrived."""

    spans: list[Span] = field(default_factory=list)
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    endpoint: str = ""

    def __enter__(self) -> Self:
        self._changed = threading.Condition()
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        for service, method, request, response, take in (
            ("trace.v1.TraceService", "Export", ExportTraceServiceRequest, ExportTraceServiceResponse, self._traces),
            (
                "metrics.v1.MetricsService",
                "Export",
                ExportMetricsServiceRequest,
                ExportMetricsServiceResponse,
                self._metrics,
            ),
        ):
            handler = grpc.unary_unary_rpc_method_handler(take, request.FromString, response.SerializeToString)
            generic = grpc.method_handlers_generic_handler(
                f"opentelemetry.proto.collector.{service}", {method: handler}
            )
            self._server.add_generic_rpc_handlers((generic,))
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def _traces(self, request: ExportTraceServiceRequest, _: object) -> ExportTraceServiceResponse:
        with self._changed:
            self.spans += spans_of(request)
            self._changed.notify_all()
        return ExportTraceServiceResponse()

    def _metrics(self, request: ExportMetricsServiceRequest, _: object) -> ExportMetricsServiceResponse:
        with self._changed:
            self.metrics.append(request)
            self._changed.notify_all()
        return ExportMetricsServiceResponse()

    def clear(self) -> None:
        """Forget what arrived."""
        with self._changed:
            self.spans.clear()
            self.metrics.clear()

    def wait_for(self, condition: Callable[[list[Span]], Any], within: float = 10.0) -> Any:
        """Return *condition(spans)* as soon as it is true; fail after *within* seconds."""
        end = time.monotonic() + within
        with self._changed:
            while not (found := condition(self.spans)):
                left = end - time.monotonic()
                assert left > 0, (
                    f"not received within {within} s; there is: {[(s.kind, s.name, s.status) for s in self.spans]}"
                )
                self._changed.wait(left)
            return found

    def one(self, kind: str, name: str) -> Span:
        """Return the only span of *kind* and *name*; waits for it."""
        found = self.wait_for(lambda spans: [span for span in spans if (span.kind, span.name) == (kind, name)])
        assert len(found) == 1, found
        return found[0]
