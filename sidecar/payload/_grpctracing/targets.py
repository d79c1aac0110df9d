"""Remembers which target a core channel was made for, where grpc does not tell (asyncio), or crashes when a closed one is asked (sync, before 1.62)."""

from functools import wraps
from weakref import ref


class Targets:
    """Target by core channel, for as long as grpc's Channel lives."""

    def __init__(self):
        self._known = {}

    def hook(self, original):
        """Return the constructor that stands in for that of `Channel`, *original*."""

        @wraps(original)
        def init(this, target, *args, **kwargs):
            original(this, target, *args, **kwargs)
            key = id(this._channel)  # not reused while *this* lives: it owns the core channel
            self._known[key] = (target, ref(this, lambda _: self._known.pop(key, None)))

        return init

    def of(self, core):
        """Return the target of the core channel *core*, or ""."""
        known = self._known.get(id(core))
        return text(known[0]) if known is not None else ""


def text(target):
    """Return *target* (text or bytes) as text."""
    return target.decode("utf-8", "replace") if isinstance(target, bytes) else target
