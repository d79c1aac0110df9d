"""The world as the caches show it: what `decide` looks at. Reading it costs no call."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from grpctracing.api import GrpcTracing
from grpctracing.controllers.ownership import controllers, is_own, owner_of
from grpctracing.controllers.projection import project, share
from grpctracing.injection import names
from grpctracing.injection.admitted import governing
from grpctracing.kube.resources import CONFIG_MAPS, DEPLOYMENTS, OWNED, WORKLOADS, Key, key_of
from grpctracing.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)


class Unreadable(Exception):  # noqa: N818 - a fact about an object that a newer release stored
    """A GrpcTracing can't be understood. Its workloads stay as they are: a guess could revert them all."""


def is_users(workload: JSON) -> bool:
    """Tell whether a workload is not one that we made."""
    return not is_own(workload)


@dataclass(slots=True)
class World:
    """All caches, by kind. *workloads* are everybody's; *owned* holds what carries our label."""

    workloads: dict[str, Store] = field(
        default_factory=lambda: {each.kind: Store(project, packed=is_users) for each in WORKLOADS}
    )
    tracings: Store = field(default_factory=Store)
    owned: dict[str, Store] = field(
        default_factory=lambda: {each.kind: Store(share) if each is CONFIG_MAPS else Store() for each in OWNED}
    )
    _parsed: dict[Key, tuple[str, GrpcTracing]] = field(default_factory=dict)

    @property
    def stores(self) -> tuple[Store, ...]:
        """Return all caches."""
        return (*self.workloads.values(), self.tracings, *self.owned.values())

    def drop(self, namespace: str) -> None:
        """Forget a namespace that is another operator's from now on; nobody is told that its objects are gone, for they are not."""
        for store in self.stores:
            store.drop(namespace)
        self._parsed = {key: parsed for key, parsed in self._parsed.items() if key.namespace != namespace}

    def tracing(self, key: Key) -> GrpcTracing | None:
        """Return one GrpcTracing as a model, or None when there is none; raises Unreadable."""
        obj = self.tracings.get(key)
        if obj is None:
            self._parsed.pop(key, None)
            return None
        version = obj["metadata"]["resourceVersion"]
        known = self._parsed.get(key)
        if known is None or known[0] != version:
            known = self._parsed[key] = (version, parse(obj))
        return known[1]

    def tracings_in(self, namespace: str) -> list[GrpcTracing]:
        """Return all GrpcTracings of a namespace, those being deleted too; raises Unreadable.

        One that is being deleted asks for nothing any more, so it need not be understood to be left.
        """
        found = []
        for obj in self.tracings.in_namespace(namespace):
            try:
                tracing = self.tracing(key_of(obj))
            except Unreadable:
                if not obj["metadata"].get("deletionTimestamp"):
                    raise
            else:
                found += [] if tracing is None else [tracing]
        return found

    def governing(self, workload: JSON) -> GrpcTracing | None:
        """Return the object that the verdict on a workload goes by, if any; raises Unreadable."""
        tracings = self.tracings_in(workload["metadata"]["namespace"])
        return governing(workload, [each for each in tracings if each.metadata.deletion_timestamp is None])

    @property
    def deployments(self) -> Store:
        """The Deployments, of which one per namespace is ours: the Collector."""
        return self.workloads[DEPLOYMENTS.kind]

    def of(self, key: Key) -> Store:
        """Return the cache that a workload belongs to."""
        return self.workloads[key.kind or DEPLOYMENTS.kind]

    def workloads_in(self, namespace: str) -> Iterator[Key]:
        """Yield the keys of a namespace's workloads, without our own: those that are packed."""
        for store in self.workloads.values():
            yield from store.packed_in(namespace)

    def owned_by(self, key: Key) -> Iterator[JSON]:
        """Yield what was made for a GrpcTracing, whether or not that one still exists.

        Labels alone do not tell: a copy of the Collector that a user keeps may carry them, but no owner reference.
        """
        for store in (*self.owned.values(), self.deployments):
            for obj in store.whole_in(key.namespace):
                if is_own(obj) and owner_of(obj) == key and any(controllers(obj)):
                    yield obj

    def live(self, desired: JSON) -> JSON | None:
        """Return the cached object of the same kind and name as *desired*, if it carries our label."""
        store = self.owned.get(desired["kind"], self.deployments)
        obj = store.get(key_of(desired))
        return obj if obj is not None and is_own(obj) else None

    def has_bootstrap(self, tracing: GrpcTracing, payload: Mapping[str, str]) -> bool:
        """Tell whether the ConfigMap with the bootstrap is there, ours, and of this release (*payload*, by flat key)."""
        key = Key(tracing.metadata.namespace, names.config_map_name(tracing.metadata.name))
        obj = self.owned[CONFIG_MAPS.kind].get(key)
        if obj is None or tracing.metadata.uid not in controllers(obj):
            return False
        data = obj.get("data") or {}
        return all(data.get(name) == text for name, text in payload.items())


def parse(obj: JSON) -> GrpcTracing:
    """Return an object as a model; raises Unreadable, which quotes no value: it may be one that is nobody's business.

    The status is ours to write, never to read: what a newer release reported must not keep this one from working.
    """
    try:
        return GrpcTracing.model_validate({name: value for name, value in obj.items() if name != "status"})
    except ValidationError as error:
        trouble = error.errors(include_input=False, include_url=False, include_context=False)
        where = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in trouble)
        raise Unreadable(f"GrpcTracing {key_of(obj)} can't be read: {where}") from None
