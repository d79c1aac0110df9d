"""Events for people (`kubectl describe`): on transitions only, best effort, never in the way of the work."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from grpctracing.kube import errors
from grpctracing.kube.resources import EVENTS

if TYPE_CHECKING:
    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

Kind = Literal["Normal", "Warning"]
REPORTER: Final = "grpctracing-operator"
LONGEST_MESSAGE: Final = 1000
"""The API server refuses a note of more than 1024 bytes."""
WAITING: Final = 1000
"""Events that wait to be written; when more come, the oldest are dropped."""


@dataclass(slots=True)
class Recorder:
    """Takes events at once and posts them one after the other."""

    client: Client
    _waiting: deque[JSON] = field(default_factory=lambda: deque(maxlen=WAITING))
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def event(self, about: JSON, kind: Kind, reason: str, message: str) -> None:
        """Note that something happened to the object *about*; *reason* is one word in CamelCase."""
        self._waiting.append(manifest(about, kind, reason, message))
        self._wake.set()

    async def run(self) -> None:
        """Post what was noted until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Post what waits; an event that is refused is logged and dropped."""
        while self._waiting:
            event = self._waiting.popleft()
            try:
                await self.client.create(EVENTS, event["metadata"]["namespace"], event)
            except errors.ApiError as error:
                log.warning("event not posted", extra={"reason": event["reason"], "error": str(error)})


def manifest(about: JSON, kind: Kind, reason: str, message: str) -> JSON:
    """Return a core/v1 Event about an object."""
    metadata = about["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{metadata['name'][:200]}.", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": kind,
        "reason": reason,
        "message": message[:LONGEST_MESSAGE],
        "source": {"component": REPORTER},
        "reportingComponent": REPORTER,
        "reportingInstance": REPORTER,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
