"""Whose turn it is: a pure data structure, each key in it once.

What a user has just changed goes before the backlog (a start, a resync, what comes back by itself), and within both the
namespaces take turns: one with 5,000 keys costs another one a single turn. A steady stream of changes can't starve the backlog.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from grpctracing.kube.resources import Key

SHARE: Final = 4
"""How many changes go before one key of the backlog, if any waits there."""


@dataclass(slots=True)
class Lane:
    """Keys by namespace; an OrderedDict, for taking the first of a plain dict again and again is quadratic."""

    namespaces: OrderedDict[str, OrderedDict[Key, None]] = field(default_factory=OrderedDict)

    def __bool__(self) -> bool:
        return bool(self.namespaces)

    def add(self, key: Key) -> None:
        """Put *key* behind the others of its namespace, a new namespace behind the others."""
        self.namespaces.setdefault(key.namespace, OrderedDict())[key] = None

    def take(self) -> Key:
        """Take the first key of the first namespace, which goes to the end."""
        namespace, keys = self.namespaces.popitem(last=False)
        key, _ = keys.popitem(last=False)
        if keys:
            self.namespaces[namespace] = keys
        return key

    def remove(self, key: Key) -> None:
        """Take *key* out; it must be here."""
        keys = self.namespaces[key.namespace]
        del keys[key]
        if not keys:
            del self.namespaces[key.namespace]


@dataclass(slots=True)
class Turns:
    """Keys that wait, in two lanes."""

    changes: Lane = field(default_factory=Lane)
    backlog: Lane = field(default_factory=Lane)
    _lane: dict[Key, Lane] = field(default_factory=dict)
    _in_a_row: int = 0

    def __len__(self) -> int:
        return len(self._lane)

    def __contains__(self, key: Key) -> bool:
        return key in self._lane

    def add(self, key: Key, *, backlog: bool = False) -> None:
        """Have *key* wait; one that waits in the backlog moves up when it has been changed, and never back."""
        known = self._lane.get(key)
        if known is self.changes or (known is not None and backlog):
            return
        if known is not None:
            known.remove(key)
        lane = self._lane[key] = self.backlog if backlog else self.changes
        lane.add(key)

    def take(self) -> Key:
        """Take the key whose turn it is; there must be one."""
        spared = self._in_a_row >= SHARE and bool(self.backlog)
        lane = self.changes if self.changes and not spared else self.backlog
        self._in_a_row = self._in_a_row + 1 if lane is self.changes else 0
        key = lane.take()
        del self._lane[key]
        return key
