"""What an informer knows: the latest version of each object, by namespace and name, and who wants to hear of changes."""

from __future__ import annotations

import marshal
import zlib
from typing import TYPE_CHECKING, cast

from grpctracing.kube.resources import Key, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from grpctracing.kube.resources import JSON

    Listener = Callable[[Key, JSON | None, JSON | None], None]
    """Called with the key, what was known before, and what is known now (None: not there)."""


class Store:
    """Objects of one kind. Readers must not change what they get: it may be the cache itself.

    *packed* tells which objects are kept as compressed bytes: of kinds of which there are many, those that are rarely looked at.
    Reading one takes tens of µs, so nobody reads a whole namespace of them; ten thousand Deployments take 15 MB instead of 190.
    """

    def __init__(
        self, project: Callable[[JSON], JSON] = lambda obj: obj, *, packed: Callable[[JSON], bool] = lambda _: False
    ) -> None:
        self.project = project
        self._packed = packed
        self._objects: dict[str, dict[str, tuple[Key, JSON | bytes]]] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Have *listener* called after each change."""
        self._listeners.append(listener)

    def get(self, key: Key) -> JSON | None:
        """Return the object, or None."""
        found = self._objects.get(key.namespace, {}).get(key.name)
        return None if found is None else unpack(found[1])

    def in_namespace(self, namespace: str) -> list[JSON]:
        """Return the objects of one namespace, in the order in which they were first seen."""
        return [unpack(kept) for _, kept in self._objects.get(namespace, {}).values()]

    def whole_in(self, namespace: str) -> list[JSON]:
        """Return those objects of one namespace that are not packed."""
        return [kept for _, kept in self._objects.get(namespace, {}).values() if not isinstance(kept, bytes)]

    def packed_in(self, namespace: str) -> list[Key]:
        """Return the keys of the others."""
        return [key for key, kept in self._objects.get(namespace, {}).values() if isinstance(kept, bytes)]

    def __iter__(self) -> Iterator[Key]:
        """Yield the key of every object."""
        for objects in list(self._objects.values()):
            yield from [key for key, _ in objects.values()]

    def __len__(self) -> int:
        return sum(map(len, self._objects.values()))

    def put(self, obj: JSON) -> bool:
        """Keep *obj* unless a newer version is known; tell the listeners. Returns whether it was new.

        What a PATCH returned is put here at once, so that no decision is made on the version before our own write; the
        watch brings the same version again later. Versions of one object are numbers that only grow (KEP-5504).
        """
        key = key_of(obj)
        before = self.get(key)
        if not is_news(obj, before):
            return False
        kept = self.prepared(obj)
        self._keep(key, before, unpack(kept), kept)
        return True

    def remove(self, key: Key, deleted: JSON | None = None) -> None:
        """Forget an object; *deleted* guards against the late news of an object's predecessor."""
        before = self.get(key)
        if before is None or (deleted is not None and not same_object(deleted, before)):
            return
        del self._objects[key.namespace][key.name]
        if not self._objects[key.namespace]:
            del self._objects[key.namespace]
        self._tell(key, before, None)

    def drop(self, namespace: str) -> None:
        """Forget a namespace and tell nobody: its objects are not gone, they are none of ours any more."""
        self._objects.pop(namespace, None)

    def prepared(self, obj: JSON) -> JSON | bytes:
        """Return *obj* as it is kept here."""
        kept = self.project(obj)
        return pack(kept) if self._packed(kept) else kept

    def replace(self, namespace: str | None, objects: Mapping[Key, JSON | bytes]) -> None:
        """Take over a fresh list of *namespace* (None: of all): what it does not contain has been deleted meanwhile.

        *objects* are prepared already: whoever lists does that page by page, for all of them whole take many times the memory.
        """
        for key in self._keys(namespace):
            if key not in objects:
                self.remove(key)
        for key, kept in objects.items():
            before, obj = self.get(key), unpack(kept)
            if is_news(obj, before):
                self._keep(key, before, obj, kept)

    def announce(self, namespace: str | None) -> None:
        """Tell the listeners of every object again (a resync: level-triggered work can afford it)."""
        for key in self._keys(namespace):
            if (obj := self.get(key)) is not None:
                self._tell(key, obj, obj)

    def _keys(self, namespace: str | None) -> list[Key]:
        return list(self) if namespace is None else [key for key, _ in self._objects.get(namespace, {}).values()]

    def _keep(self, key: Key, before: JSON | None, obj: JSON, kept: JSON | bytes) -> None:
        self._objects.setdefault(key.namespace, {})[key.name] = (key, kept)
        self._tell(key, before, obj)

    def _tell(self, key: Key, before: JSON | None, after: JSON | None) -> None:
        for listener in self._listeners:
            listener(key, before, after)


def pack(obj: JSON) -> bytes:
    """Return *obj* as bytes that only this process reads."""
    return zlib.compress(marshal.dumps(obj), 1)


def unpack(kept: JSON | bytes) -> JSON:
    """Return the object, which may have been packed."""
    if not isinstance(kept, bytes):
        return kept
    return cast("JSON", marshal.loads(zlib.decompress(kept)))  # noqa: S302 - our own bytes


def is_news(obj: JSON, known: JSON | None) -> bool:
    """Tell whether *obj* is newer than what is *known*, or another object under the same name."""
    return known is None or version(obj) > version(known) or not same_object(obj, known)


def version(obj: JSON) -> int:
    """Return the resourceVersion as the number that it is."""
    return int(obj["metadata"]["resourceVersion"])


def same_object(one: JSON, other: JSON) -> bool:
    """Tell whether both are versions of one object, and not of one recreated under the same name."""
    return bool(one["metadata"].get("uid") == other["metadata"].get("uid"))
