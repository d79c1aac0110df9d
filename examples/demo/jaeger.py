"""Spans as Jaeger's query API tells them, asked through the API server's proxy: no port to forward, on any cluster."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from examples.demo.kubectl import Kubectl

QUERY = "/api/v1/namespaces/observability/services/jaeger:query/proxy/api/traces"
LOOKBACK = 6 * 3600  # seconds


@dataclass(frozen=True)
class Span:
    """One span; times in seconds, ids in hex, *parent_id* empty for a root."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    start: float
    duration: float
    tags: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """client, server, or internal."""
        return self.tags.get("span.kind", "internal")

    @property
    def status(self) -> str:
        """gRPC status name, or empty where the span is not of a call."""
        return self.tags.get("rpc.response.status_code", "")

    @property
    def failed(self) -> bool:
        """Whether the span's status is ERROR."""
        return self.tags.get("otel.status_code") == "ERROR"


Trace = list[Span]


def traces_of(answer: dict[str, Any]) -> list[Trace]:
    """Return the traces of Jaeger's JSON *answer*, spans in order of start."""
    return [_trace_of(found) for found in answer["data"]]


def _trace_of(found: dict[str, Any]) -> Trace:
    processes = found["processes"]
    return sorted(
        (_span_of(span, processes[span["processID"]]) for span in found["spans"]), key=lambda span: span.start
    )


def _span_of(span: dict[str, Any], process: dict[str, Any]) -> Span:
    parents = [ref["spanID"] for ref in span.get("references", ()) if ref["refType"] == "CHILD_OF"]
    return Span(
        trace_id=span["traceID"],
        span_id=span["spanID"],
        parent_id=parents[0] if parents else "",
        service=process["serviceName"],
        name=span["operationName"],
        start=span["startTime"] / 1e6,
        duration=span["duration"] / 1e6,
        tags={tag["key"]: tag["value"] for tag in span.get("tags", ())},
        resource={tag["key"]: tag["value"] for tag in process.get("tags", ())},
    )


@dataclass(frozen=True)
class Jaeger:
    """Queries to the Jaeger of examples/manifests/jaeger.yaml."""

    kubectl: Kubectl

    def traces(
        self,
        service: str,
        *,
        tags: dict[str, str] | None = None,
        operation: str = "",
        longer_than: str = "",
        since: float | None = None,
        limit: int = 1000,
    ) -> list[Trace]:
        """Return the whole traces in which a span of *service* matches: all *tags*, *operation*, duration (`1s`), start."""
        now = time.time()
        query = {
            "service": service,
            "start": int((since or now - LOOKBACK) * 1e6),
            "end": int((now + 60) * 1e6),
            "limit": limit,
        }
        if tags:
            query["tags"] = json.dumps(tags)
        if operation:
            query["operation"] = operation
        if longer_than:
            query["minDuration"] = longer_than
        return traces_of(json.loads(self.kubectl.raw(f"{QUERY}?{urlencode(query)}")))

    def trace(self, trace_id: str) -> Trace:
        """Return the spans of one trace."""
        return traces_of(json.loads(self.kubectl.raw(f"{QUERY}/{trace_id}")))[0]
