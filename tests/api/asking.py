"""What a test of the operator asks the API server."""

from __future__ import annotations

import asyncio


async def finalized(place, name="default"):
    live = await place.must("GrpcTracing", name)
    return live if live["metadata"].get("finalizers") else None


async def gone(place, kind, name):
    return await place.get(kind, name) is None


async def condition(place, kind, status, tracing="default"):
    found = (await place.conditions(tracing)).get(kind)
    return found if found and found["status"] == status else None


async def reason(place, kind, wanted, tracing="default"):
    found = (await place.conditions(tracing)).get(kind)
    return found if found and found["reason"] == wanted else None


async def has(place, kind, names):
    return names <= await place.names(kind)


async def settled_enough(engine):
    """With resyncs five times a second the operator is never idle for long; two status intervals are enough."""
    await asyncio.sleep(4)
    assert engine.unready() is None
