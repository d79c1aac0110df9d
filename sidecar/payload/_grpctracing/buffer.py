"""Between the application's threads and the exporter's: bounded queues without a lock, and counters that several threads may raise."""

from collections import deque
from itertools import count

FOLD_AT = 1024
MAX_SERIES = 1000


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
    """Durations of finished calls on their way into the metrics, by series: a list of whole numbers each, for which folding is a few calls of C.

    None is dropped: whoever brings one too many does the exporter's work, see Meter.relieve. A list stays for ever, because a thread may be about to append.
    """

    __slots__ = ("_full", "waiting")

    def __init__(self, full):
        self._full = full
        self.waiting = {2: {}, 3: {}}  # by kind and series: [nanoseconds]

    def __len__(self):
        return sum(len(table[key]) for table in self.waiting.values() for key in list(table))

    def record(self, kind, key, duration_ns):
        """Note one finished call of the series *key*: (method, code, error type, a client's target)."""
        waiting = self.waiting[kind].get(key)
        if waiting is None:
            waiting = self._new(self.waiting[kind], key)
        waiting.append(duration_ns)
        if len(waiting) >= FOLD_AT:
            self._full()

    @staticmethod
    def _new(table, key):
        """Return the list of a new series, or that of None when there are too many (metrics/sdk.md#cardinality-limits)."""
        return table.setdefault(key if len(table) < MAX_SERIES else None, [])

    def take(self):
        """Yield (kind, key, durations) of all that wait. For one thread at a time, while others record."""
        for kind, table in self.waiting.items():
            for key in list(table):
                waiting = table[key]
                number = len(waiting)
                if number:
                    taken = waiting[:number]
                    del waiting[:number]
                    yield kind, key, taken
