"""The two histograms of RPC semantic conventions, exact under sampling, and our own counters.

A finished call leaves its duration in `buffer.Points` (no lock); the exporter's thread folds those into series (0.1 µs each).
"""

import struct
import time
from _thread import allocate_lock
from bisect import bisect_right
from functools import partial

from . import encode, semconv, status

_F64 = struct.Struct("<Q")  # fixed64
_DOUBLE = struct.Struct("<d")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_BOUNDS_NS = tuple(round(bound * 1e9) for bound in BOUNDS)
_WAIT_SECONDS = 0.2
"""For whoever folds, which takes 1 ms. Forever would be a deadlock where a signal's handler flushes in the very thread that was folding."""
_OVERFLOW = (("otel.metric.overflow", True),)
_NAMES = {
    2: ("rpc.server.call.duration", "Measures the duration of an incoming Remote Procedure Call (RPC)."),
    3: ("rpc.client.call.duration", "Measures the duration of an outgoing Remote Procedure Call (RPC)."),
}


class Series:
    """One series: buckets, sum, extremes. Seconds."""

    __slots__ = ("attributes", "counts", "least", "most", "total")

    def __init__(self, attributes):
        self.attributes = attributes
        self.clear()

    def clear(self):
        """Start again, as delta temporality wants after each export."""
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.least = float("inf")
        self.most = float("-inf")

    def add(self, durations):
        """Count calls by their *durations*, a list of ns that is sorted by this. A bucket holds values up to and including its bound."""
        durations.sort()
        at, number = 0, len(durations)
        for index, bound in enumerate(_BOUNDS_NS):
            to = bisect_right(durations, bound, at)
            self.counts[index] += to - at
            at = to
            if at == number:
                break
        self.counts[-1] += number - at
        self.total += sum(durations) / 1e9
        self.least = min(self.least, durations[0] / 1e9)
        self.most = max(self.most, durations[-1] / 1e9)


def _words(key):
    """Return (method, code) of the series *key*, as text; None is the one for what is too many."""
    return ("*", "*") if key is None else (semconv.method_name(key[0]), status.name(key[1]))


class Meter:
    """All series of this process."""

    def __init__(self, points, delta=False):  # noqa: FBT002 - as in configuration
        self._delta = delta
        self._lock = allocate_lock()
        self._points = points
        self._series = {2: {}, 3: {}}
        self._distinct = {2: {}, 3: {}}  # by encoded attributes: one server may be called by several targets
        self._start_ns = time.time_ns()
        self._counted = {}

    def __len__(self):
        return len(self._points)

    @property
    def used(self):
        """Whether there is anything to report."""
        return bool(self._points or self._series[2] or self._series[3])

    def fold(self):
        """Move what was noted into the series; what can't be now can be later."""
        self._folded(_WAIT_SECONDS)

    def relieve(self):
        """Fold in a thread of the application's, unless someone is at it."""
        self._folded(0)

    def _folded(self, timeout, then=None):
        """Fold, and return what *then*() gives of the series. Return None if they belong to somebody else for all of *timeout* seconds."""
        if not self._lock.acquire(True, timeout):  # noqa: FBT003 - a lock's acquire takes no keywords before 3.13
            return None
        try:
            self._fold()
            return then() if then is not None else None
        finally:
            self._lock.release()

    def _fold(self):
        for kind, key, durations in self._points.take():
            series = self._series[kind].get(key)
            if series is None:
                items = semconv.metric_attributes(kind, *key) if key else _OVERFLOW
                encoded = encode.attributes(items, b"\x4a")  # HistogramDataPoint.attributes = 9
                series = self._series[kind][key] = self._distinct[kind].setdefault(encoded, Series(encoded))
            series.add(durations)

    def lines(self):
        """Return one readable line for each series, as it is now (`OTEL_METRICS_EXPORTER=console`)."""
        return self._folded(_WAIT_SECONDS, self._lines) or []

    def _lines(self):
        return [
            "%s %s %s %s count=%d mean=%.1fms max=%.1fms"
            % (time.strftime("%H:%M:%S"), _NAMES[kind][0], *_words(key), number, total * 1e3 / number, most * 1e3)
            for kind, table in self._series.items()
            for key, number, total, most in [
                (key, sum(it.counts), it.total, it.most)
                for key, it in {id(it): (key, it) for key, it in table.items()}.values()
            ]
            if number
        ]

    def collect(self, counters=()):
        """Return the ScopeMetrics.metrics fields of all series and of *counters* ((name, unit, description, value) each); b"" when there is nothing to say.

        With delta temporality this empties the series: the caller keeps the bytes until they are sent.
        """
        return self._folded(_WAIT_SECONDS, partial(self._collect, counters)) or b""

    def _collect(self, counters):
        now = time.time_ns()
        start, self._start_ns = self._start_ns, now if self._delta else self._start_ns
        return b"".join(
            [self._histogram(kind, start, now) for kind in (2, 3)]
            + [self._counter(item, start, now) for item in counters]
        )

    def _histogram(self, kind, start, now):
        points = []
        for series in self._distinct[kind].values():
            if series.least <= series.most:  # has values
                points.append(
                    (series.attributes, start, now, series.counts, BOUNDS, series.total, series.least, series.most)
                )
                if self._delta:
                    series.clear()
        name, description = _NAMES[kind]
        return _histogram(name, "s", description, points, self._delta) if points else b""

    def _counter(self, item, start, now):
        name, unit, description, value = item
        if self._delta:
            value, self._counted[name] = value - self._counted.get(name, 0), value
        return _counter(name, unit, description, ((b"", start, now, value),), self._delta) if value else b""


def _histogram(name, unit, description, points, delta):
    """Return a Metric field with a histogram; *points*: (attribute bytes as field 9, start_ns, time_ns, counts, bounds, total, least, most)."""
    body = []
    for attrs, start_ns, time_ns, counts, bounds, total, least, most in points:
        point = b"".join((
            attrs, b"\x11", _F64.pack(start_ns), b"\x19", _F64.pack(time_ns),  # start_time_unix_nano = 2, time_unix_nano = 3
            b"\x21", _F64.pack(sum(counts)), b"\x29", _DOUBLE.pack(total),  # count = 4, sum = 5
            encode.field(b"\x32", struct.pack("<%dQ" % len(counts), *counts)),  # bucket_counts = 6, packed
            encode.field(b"\x3a", struct.pack("<%dd" % len(bounds), *bounds)),  # explicit_bounds = 7, packed
            b"\x59", _DOUBLE.pack(least), b"\x61", _DOUBLE.pack(most),  # min = 11, max = 12
        ))  # fmt: skip
        body.append(encode.field(b"\x0a", point))  # data_points = 1
    body.append(b"\x10\x01" if delta else b"\x10\x02")  # aggregation_temporality = 2
    return _metric(name, unit, description, encode.field(b"\x4a", b"".join(body)))  # histogram = 9


def _counter(name, unit, description, points, delta):
    """Return a Metric field with a monotonic sum; *points*: (attribute bytes as field 7, start_ns, time_ns, whole number)."""
    body = []
    for attrs, start_ns, time_ns, value in points:  # start_time_unix_nano = 2, time_unix_nano = 3, as_int = 6
        body.append(
            encode.field(
                b"\x0a",
                b"".join((attrs, b"\x11", _F64.pack(start_ns), b"\x19", _F64.pack(time_ns), b"\x31", _F64.pack(value))),
            )
        )
    body.append(b"\x10\x01\x18\x01" if delta else b"\x10\x02\x18\x01")  # aggregation_temporality = 2, is_monotonic = 3
    return _metric(name, unit, description, encode.field(b"\x3a", b"".join(body)))  # sum = 7


def _metric(name, unit, description, data):
    head = (
        encode.field(b"\x0a", encode.text(name))
        + encode.field(b"\x12", encode.text(description))
        + encode.field(b"\x1a", encode.text(unit))
    )  # name, description, unit = 1, 2, 3
    return encode.field(b"\x12", head + data)
