"""What an informer knows: the latest version of each object, by namespace and name, and who wants to hear of changes."""

from __future__ import annotations

import marshal
import zlib
from typing import TYPE_CHECKING, NamedTuple, cast

from grpctracing.kube.resources import Key, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from grpctracing.kube.resources import JSON

    Listener = Callable[[Key, JSON | None, JSON | None], None]
    """Called with the key, what was known before, and what is known now (None: not there)."""


class Kept(NamedTuple):
    """One object as it is kept; what tells it from a newer one stands beside it, so that old news costs nothing."""

    key: Key
    version: int
    uid: str | None
    content: JSON | bytes


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
        self._objects: dict[str, dict[str, Kept]] = {}
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Have *listener* called after each change."""
        self._listeners.append(listener)

    def get(self, key: Key) -> JSON | None:
        """Return the object, or None."""
        known = self._known(key)
        return None if known is None else unpack(known.content)

    def in_namespace(self, namespace: str) -> list[JSON]:
        """Return the objects of one namespace, in the order in which they were first seen."""
        return [unpack(known.content) for known in self._objects.get(namespace, {}).values()]

    def whole_in(self, namespace: str) -> list[JSON]:
        """Return those objects of one namespace that are not packed."""
        contents = (known.content for known in self._objects.get(namespace, {}).values())
        return [content for content in contents if not isinstance(content, bytes)]

    def packed_in(self, namespace: str) -> list[Key]:
        """Return the keys of the others."""
        return [known.key for known in self._objects.get(namespace, {}).values() if isinstance(known.content, bytes)]

    def keys(self, namespace: str | None) -> list[Key]:
        """Return the keys of all objects of *namespace* (None: of all)."""
        return [key for key in self if namespace in {None, key.namespace}]

    def __iter__(self) -> Iterator[Key]:
        """Yield the key of every object."""
        for objects in list(self._objects.values()):
            yield from [known.key for known in objects.values()]

    def __len__(self) -> int:
        return sum(map(len, self._objects.values()))

    def put(self, obj: JSON) -> bool:
        """Keep *obj* unless a newer version is known; tell the listeners. Returns whether it was new.

        What a PATCH returned is put here at once, so that no decision is made on the version before our own write; the
        watch brings the same version again later. Versions of one object are numbers that only grow (KEP-5504).
        """
        key, metadata = key_of(obj), obj["metadata"]
        version, uid, known = int(metadata["resourceVersion"]), metadata.get("uid"), self._known(key)
        if known is not None and version <= known.version and uid == known.uid:
            return False  # else it is another object under the same name
        before = None if known is None else unpack(known.content)
        after = self.project(obj)
        content = pack(after) if self._packed(after) else after
        self._objects.setdefault(key.namespace, {})[key.name] = Kept(key, version, uid, content)
        self._tell(key, before, after)
        return True

    def remove(self, key: Key, deleted: JSON | None = None) -> None:
        """Forget an object; *deleted* guards against the late news of an object's predecessor."""
        known = self._known(key)
        if known is None or (deleted is not None and deleted["metadata"].get("uid") != known.uid):
            return
        del self._objects[key.namespace][key.name]
        if not self._objects[key.namespace]:
            del self._objects[key.namespace]
        self._tell(key, unpack(known.content), None)

    def drop(self, namespace: str) -> None:
        """Forget a namespace and tell nobody: its objects are not gone, they are none of ours any more."""
        self._objects.pop(namespace, None)

    def keep_only(self, namespace: str | None, listed: AbstractSet[Key]) -> None:
        """Forget what a fresh list of *namespace* (None: of all) does not contain: it has been deleted meanwhile."""
        for key in self.keys(namespace):
            if key not in listed:
                self.remove(key)

    def announce(self, key: Key) -> None:
        """Tell the listeners of an object again (a resync: level-triggered work can afford it)."""
        if (obj := self.get(key)) is not None:
            self._tell(key, obj, obj)

    def _known(self, key: Key) -> Kept | None:
        return self._objects.get(key.namespace, {}).get(key.name)

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
