"""Jaeger's answers for tests, as its /api/traces gives them."""

from __future__ import annotations

from typing import Any

START = 1_800_000_000_000_000  # microseconds


def jaeger_span(
    span_id: str,
    parent: str = "",
    *,
    process: str = "p1",
    name: str = "payment.PaymentService/ProcessPayment",
    at: int = 0,
    lasts: int = 1000,
    trace: str = "t1",
    **tags: Any,
) -> dict[str, Any]:
    """Return a span that begins *at* and *lasts* microseconds; tag names are written with `__` for a dot."""
    return {
        "traceID": trace,
        "spanID": span_id,
        "operationName": name,
        "references": [{"refType": "CHILD_OF", "traceID": trace, "spanID": parent}] if parent else [],
        "startTime": START + at,
        "duration": lasts,
        "tags": [{"key": key.replace("__", "."), "type": "string", "value": value} for key, value in tags.items()],
        "processID": process,
    }


def jaeger_answer(*spans: dict[str, Any], **processes: str) -> dict[str, Any]:
    """Return the answer with one trace; *processes* maps process ids to service names."""
    named = {
        key: {"serviceName": service, "tags": [{"key": "k8s.pod.name", "value": f"{service}-0"}]}
        for key, service in processes.items()
    }
    return {"data": [{"traceID": "t1", "spans": list(spans), "processes": named}]}
