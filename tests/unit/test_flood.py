"""A thousand objects with one trouble: the log stays readable, and says what it has kept back."""

from __future__ import annotations

import logging

from grpctracing.flood import BURST, SECONDS, TEXTS, Flood


def record(text, level=logging.WARNING):
    return logging.LogRecord("grpctracing.kube.queue", level, "", 0, text, None, None)


def test_the_same_warning_is_told_some_times_and_then_counted():
    now = 100.0
    flood = Flood(clock=lambda: now)
    assert [flood.filter(record("reconcile failed")) for _ in range(BURST + 5)] == [True] * BURST + [False] * 5
    assert flood.filter(record("watch failed")), "another one is not its fault"
    now += SECONDS
    later = record("reconcile failed")
    assert flood.filter(later)
    assert later.not_told == 5


def test_what_was_done_is_always_told():
    flood = Flood()
    assert all(flood.filter(record("injected", logging.INFO)) for _ in range(BURST * 2))


def test_texts_that_never_come_again_are_forgotten():
    flood = Flood()
    assert all(flood.filter(record(f"trouble {number}")) for number in range(TEXTS * 2))
    assert len(flood.windows) <= TEXTS + 1
