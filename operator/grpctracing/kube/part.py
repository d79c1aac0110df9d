"""Which part of a cluster-wide list and watch an informer keeps: some namespaces, which come and go.

A namespace that comes has been passed over so far, so it is listed by itself while the watch goes on. Events about it that
arrive before the list count after it, and those that are older than the list not at all: it has them in it already.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grpctracing.kube.resources import JSON


def anywhere(_: str) -> bool:
    """Say that a namespace belongs to the part: all of them do."""
    return True


@dataclass(slots=True)
class Part:
    """Tells by *has* whether a namespace is kept; objects outside of namespaces ask for the empty one."""

    has: Callable[[str], bool] = anywhere
    _late: dict[str, list[JSON]] = field(default_factory=dict)
    """Events of namespaces that are being listed, in order."""
    _since: dict[str, int] = field(default_factory=dict)
    """The version of the last list of a namespace by itself."""

    def takes(self, event: JSON) -> bool:
        """Tell whether an event of a watch is to be taken over now: it is of this part, and nothing newer is known."""
        metadata = event["object"]["metadata"]
        namespace = metadata.get("namespace", "")
        if (late := self._late.get(namespace)) is not None:
            late.append(event)
            return False
        return self.has(namespace) and int(metadata["resourceVersion"]) > self._since.get(namespace, 0)

    @contextlib.contextmanager
    def listing(self, namespace: str) -> Iterator[list[JSON]]:
        """Hold back the events of *namespace* inside the block, and give them."""
        late = self._late[namespace] = []
        try:
            yield late
        finally:
            del self._late[namespace]

    def listed(self, namespace: str, position: str) -> None:
        """Note of which version (*position*) the list of a namespace is."""
        self._since[namespace] = int(position)

    def forget(self, namespace: str) -> None:
        """Drop what is known of a namespace that has gone from the part."""
        self._since.pop(namespace, None)
