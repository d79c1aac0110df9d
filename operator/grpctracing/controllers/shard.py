"""The namespaces that are this operator's by their labels, where several operators share a cluster.

A namespace that comes is listed as a whole before anything is decided in it: a workload without the GrpcTracing that it belongs
to would be reverted. One that goes is forgotten and not reverted: whoever has it now finds everything as it was left. From the
moment in which its labels say so nothing is written to it any more. The other operator sees the labels at about the same time,
and lets what is under way here come to its end before it begins.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from grpctracing.kube.informer import Informer
from grpctracing.kube.queue import Queue
from grpctracing.kube.resources import NAMESPACES, Key
from grpctracing.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON
    from grpctracing.kube.selectors import Selector

log = logging.getLogger(__name__)

HANDOVER: Final = 5.0
"""Seconds that a namespace which was somebody else's is left alone after its labels have changed."""
WORKERS: Final = 4


class Told(Protocol):
    """Who hears of namespaces."""

    async def came(self, namespace: str) -> None:
        """Begin to work in one whose caches are complete; raises nothing."""

    def left(self, namespace: str) -> None:
        """Forget one."""


@dataclass(slots=True)
class Shard:
    """Follows the labels of namespaces, and tells those that work there."""

    client: Client
    selector: Selector
    resync: float = 600.0
    clock: Callable[[], float] = time.monotonic
    queue: Queue = field(default_factory=lambda: Queue("namespace"))
    namespaces: Informer = field(init=False)
    followed: tuple[Informer, ...] = field(init=False, default=())
    """What is listed for a namespace that comes."""
    told: Told = field(init=False)
    _ours: dict[str, float] = field(default_factory=dict)
    """Namespace → from when on it may be worked in (clock)."""
    _open: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        store = Store(labels_only)
        store.listen(self._labelled)
        self.namespaces = Informer(self.client, NAMESPACES, store, resync=self.resync)

    def keeps(self, namespace: str) -> bool:
        """Tell whether the objects of a namespace belong into the caches."""
        return namespace in self._ours

    def has(self, namespace: str) -> bool:
        """Tell whether a namespace may be worked in: it is this operator's, and its caches are complete."""
        return namespace in self._open

    def follow(self, informers: Iterable[Informer], told: Told) -> None:
        """Have *informers* keep this part of the cluster, and *told* hear what comes and goes."""
        self.followed, self.told = tuple(informers), told
        for informer in self.followed:
            informer.part.has = self.keeps

    def begin(self) -> None:
        """Open the namespaces that the first lists of all informers have covered."""
        self._open |= {name for name, due in self._ours.items() if due == -math.inf}
        log.info("shard", extra={"selector": self.selector.text, "namespaces": len(self._ours)})

    async def work(self) -> None:
        """Take up and forget until cancelled."""
        await self.queue.work(self.reconcile, WORKERS)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one namespace (by name) to what its labels ask for; returns when to come back. Raises ApiError."""
        name, due = key.name, self._ours.get(key.name)
        if due is None:
            for informer in self.followed:
                informer.part.forget(name)
            self.told.left(name)
            log.info("namespace given away", extra={"namespace": name})
            return None
        if name in self._open or due == -math.inf:
            return None  # the latter are opened by `begin`
        if (wait := due - self.clock()) > 0:
            return wait
        self.told.left(name)  # should it have gone and come back before anybody looked
        for informer in self.followed:
            await informer.synced.wait()
            await informer.take_up(name)
        if self._ours.get(name) != due:
            return None  # it went in between, so that something may be missing: its key is in the queue again
        self._open.add(name)
        log.info("namespace taken up", extra={"namespace": name})
        await self.told.came(name)
        return None

    def _labelled(self, key: Key, before: JSON | None, after: JSON | None) -> None:
        """Note whose a namespace is now. One that is new was nobody's, so nobody has to be waited for."""
        name = key.name
        ours = after is not None and self.selector.matches(after["metadata"].get("labels"))
        if ours == (name in self._ours):
            return
        if not ours:
            self._open.discard(name)
            del self._ours[name]
        elif not self.namespaces.synced.is_set():
            self._ours[name] = -math.inf
            return
        else:
            self._ours[name] = self.clock() + (HANDOVER if before is not None else 0.0)
        self.queue.add(key)


def labels_only(namespace: JSON) -> JSON:
    """Return what of a namespace is worth keeping."""
    metadata = namespace["metadata"]
    return {
        "metadata": {part: metadata[part] for part in ("name", "uid", "resourceVersion", "labels") if part in metadata}
    }
