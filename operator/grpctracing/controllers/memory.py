"""What failed before: `status.reverted` of a GrpcTracing, so that a restart of the operator forgets nothing.

Only this module writes that field, and it writes it before the revert goes out: killed in between, the operator finds the
record and an injected Deployment, and takes that back; the other way round it would try the failed injection again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from grpctracing.api import MAX_REVERTED, Reverted, label
from grpctracing.kube import errors
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import GRPC_TRACINGS, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grpctracing.controllers.world import World
    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Memory:
    """Records of reverted workloads; *_unsaved* are those that could not be written yet.

    *changed* is called with a GrpcTracing whose records have changed: what is not written is no event of the API server's.
    """

    client: Client
    world: World
    changed: Callable[[Key], None] = lambda _: None
    _unsaved: dict[Key, dict[str, Reverted]] = field(default_factory=dict)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def of(self, tracing: Key) -> dict[str, Reverted]:
        """Return the records of one GrpcTracing by label; those of workloads that are gone count no more."""
        known = records(self.world.tracings.get(tracing)) | self._unsaved.get(tracing, {})
        return {label: record for label, record in known.items() if self._there(tracing.namespace, record)}

    def has_failed(self, workload: Key) -> bool:
        """Tell whether the injection of a workload is remembered to have failed, with whatever GrpcTracing."""
        return any(
            workload.label in self._unsaved.get(key_of(obj), {}) or told_of(obj, workload)
            for obj in self.world.tracings.in_namespace(workload.namespace)
        )

    async def remember(self, tracing: Key, record: Reverted) -> None:
        """Write *record*, unless it is there. A failure is logged, not raised: going back must not wait for it."""
        known = self.of(tracing).get(record.label)
        if known is not None and tried(known) == tried(record):
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._unsaved.setdefault(tracing, {})[record.label] = record.model_copy(update={"time": now})
        self.changed(tracing)
        try:
            await self._save(tracing)
        except errors.ApiError as error:
            log.warning(
                "not remembered", extra={"tracing": str(tracing), "workload": record.label, "error": str(error)}
            )

    def leave(self, namespace: str) -> None:
        """Drop what could not be written of a namespace that is another operator's now, and its memory with it."""
        for tracing in [each for each in self._unsaved if each.namespace == namespace]:
            del self._unsaved[tracing]

    async def catch_up(self, tracing: Key) -> None:
        """Write what could not be written before; raises ApiError."""
        if self._unsaved.get(tracing):
            await self._save(tracing)

    async def forget(self, workload: Key, *, healthy_with: str | None = None) -> None:
        """Drop the records of a workload that is gone, or those of the GrpcTracing with which it is well; raises ApiError."""
        for obj in self.world.tracings.in_namespace(workload.namespace):
            tracing = Key(workload.namespace, obj["metadata"]["name"])
            known = records(obj).keys() | self._unsaved.get(tracing, {}).keys()
            if healthy_with in {None, tracing.name} and workload.label in known:
                self._unsaved.get(tracing, {}).pop(workload.label, None)
                self.changed(tracing)
                await self._save(tracing, without=workload.label)

    async def _save(self, tracing: Key, without: str = "") -> None:
        async with self._writing:
            obj = self.world.tracings.get(tracing)
            if obj is None:
                self._unsaved.pop(tracing, None)
                return
            told = records(obj)
            # The oldest stay: while the list is full nothing new is tried, so none of the others can be forgotten for long.
            wanted = [record for label, record in self.of(tracing).items() if label != without][:MAX_REVERTED]
            if wanted != list(told.values()):
                await self._write(tracing, obj, wanted)
            for record in wanted:
                self._unsaved.get(tracing, {}).pop(record.label, None)

    def _there(self, namespace: str, record: Reverted) -> bool:
        return self.world.workloads[record.kind].get(Key(namespace, record.name)) is not None

    async def _write(self, tracing: Key, obj: JSON, wanted: list[Reverted]) -> None:
        entries = [record.model_dump(by_alias=True, exclude_none=True) for record in wanted]
        body = {"metadata": {"uid": obj["metadata"]["uid"]}, "status": {"reverted": entries}}
        try:
            written = await self.client.patch(
                GRPC_TRACINGS, tracing.namespace, tracing.name, body, kind=MERGE, subresource="status"
            )
        except errors.NotFound:
            return
        self.world.tracings.put(written)


def tried(record: Reverted) -> tuple[str, ...]:
    """Return what failed, as far as it decides about the next try; the evidence changes with each look."""
    return record.injection, record.image, record.retry


def told_of(obj: Mapping[str, Any], workload: Key) -> bool:
    """Tell whether the status of a GrpcTracing remembers a workload."""
    entries = (obj.get("status") or {}).get("reverted") or ()
    return any(label(entry.get("kind", "Deployment"), entry["name"]) == workload.label for entry in entries)


def records(obj: Mapping[str, object] | None) -> dict[str, Reverted]:
    """Return what the status of a GrpcTracing remembers, by label; what can't be read was written by a newer release."""
    status = (obj or {}).get("status")
    entries = status.get("reverted") if isinstance(status, dict) else None
    found = {}
    for entry in entries or ():
        try:
            record = Reverted.model_validate(entry)
        except ValidationError:
            continue
        found[record.label] = record
    return found
