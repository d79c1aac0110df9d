"""Between the application's threads and the exporter's: bounded queues without a lock, and counters that several threads may raise."""

from collections import deque
from itertools import count

FOLD_AT = 4096


class Counter:
    """A count that any thread may raise (one C call, atomic) and one thread at a time may read."""

    __slots__ = ("_next", "_reads", "add")

    def __init__(self):
        self._next = count().__next__
        self._reads = 0
        self.add = self._next

    def value(self):
        """Return how often `add()` was called. Reading is itself a step of the count, which is taken off again."""
        seen = self._next() - self._reads
        self._reads += 1
        return seen


class Buffer:
    """Finished calls and spans on their way to the exporter. Full means the new one is dropped and counted; the application never waits."""

    __slots__ = ("_items", "dropped", "size")

    def __init__(self, size):
        self._items = deque()
        self.size = size
        self.dropped = Counter()

    def __len__(self):
        return len(self._items)

    def put(self, item):
        """Add *item*; return how many wait now, or 0 if it was dropped. Threads that race may exceed the bound by one each."""
        waiting = len(self._items)
        if waiting >= self.size:
            self.dropped.add()
            return 0
        self._items.append(item)
        return waiting + 1

    def take(self, most):
        """Return up to *most* items, oldest first. For the exporter's thread."""
        items = self._items
        taken = []
        while items and len(taken) < most:
            taken.append(items.popleft())
        return taken


class Points:
    """Durations of finished calls on their way into the metrics. None is dropped: whoever brings one too many does the exporter's work, see Meter.relieve."""

    __slots__ = ("_full", "_items", "take")

    def __init__(self, full):
        self._items = deque()
        self._full = full
        self.take = self._items.popleft

    def __len__(self):
        return len(self._items)

    def record(self, point):
        """Note one finished call: (kind, method, code, error type, nanoseconds)."""
        items = self._items
        items.append(point)
        if len(items) >= FOLD_AT:
            self._full()
