"""Builders of finished calls and manual spans; what a test does not speak of has a default."""

import time
from types import SimpleNamespace

from _grpctracing.bridge import Told
from _grpctracing.call import Call
from _grpctracing.context import SpanContext

SERVER, CLIENT = 2, 3


def finished(
    kind=SERVER,
    method="/shop.Payment/Charge",
    code=0,
    *,
    seconds=0.01,
    context=None,
    parent_id=0,
    sampled=True,
    **fields,
):
    call = Call(
        kind,
        method,
        fields.pop("target", "ipv4:10.0.0.7:50051"),
        context or SpanContext(0xABC << 64 | 5, 7, 3),
        parent_id,
        sampled,
    )
    call.stop(code, fields.pop("details", ""), fields.pop("error_type", None))
    call.end_ns = call.start_ns + int(seconds * 1e9)
    if "attributes" in fields:
        call.attributes = Told()
        call.attributes.update(fields.pop("attributes"))
    for name, value in fields.items():
        setattr(call, name, value)
    return call


def started(pipeline, kind=SERVER, method="/shop.Payment/Charge", parent=None, **fields):
    """A call that *pipeline* gave its ids, finished but not handed over."""
    context, parent_id, sampled = pipeline.start(kind, method, parent)
    return finished(kind, method, context=context, parent_id=parent_id, sampled=sampled, **fields)


def manual(**fields):
    defaults = {
        "name": "validate_payment", "kind": 1, "context": SpanContext(0xABC << 64 | 5, 9, 3), "parent_id": 7, "start_ns": 1_700_000_000_000_000_001,
        "end_ns": 1_700_000_000_500_000_002, "attributes": {}, "events": [], "links": [], "status_code": 0, "status_message": "",
        "scope_name": "shop", "scope_version": "1.2", "dropped_attributes": 0, "dropped_events": 0, "dropped_links": 0,
    }  # fmt: skip
    return SimpleNamespace(**{**defaults, **fields})


def eventually(condition, within=8):
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"not within {within} s"
        time.sleep(0.01)
