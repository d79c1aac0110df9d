"""The work queue: once per key, never twice at a time, failures later and later."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from grpctracing.kube import errors
from grpctracing.kube import queue as module
from grpctracing.kube.queue import Queue
from grpctracing.kube.resources import Key
from tests.unit.kube.fake_server import eventually

A, B = Key("production", "a"), Key("production", "b")


@contextlib.asynccontextmanager
async def working(queue, reconcile, workers=1):
    task = asyncio.create_task(queue.work(reconcile, workers))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Recording:
    """A reconcile that notes its calls and waits for `gate`."""

    def __init__(self, answer=None):
        self.calls, self.active, self.most = [], 0, 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.answer = answer

    async def __call__(self, key):
        self.calls.append(key)
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            await self.gate.wait()
            return self.answer(key) if self.answer else None
        finally:
            self.active -= 1


async def test_a_key_added_often_is_worked_on_once():
    queue, reconcile = Queue("test"), Recording()
    for _ in range(10):
        queue.add(A)
    queue.add(B)
    async with working(queue, reconcile):
        await eventually(queue.idle)
    assert reconcile.calls == [A, B]


async def test_a_key_added_while_worked_on_is_worked_on_again_and_never_twice_at_once():
    queue, reconcile = Queue("test"), Recording()
    reconcile.gate.clear()
    async with working(queue, reconcile, workers=4):
        queue.add(A)
        await eventually(lambda: reconcile.calls)
        for _ in range(5):
            queue.add(A)
        await asyncio.sleep(0.05)
        assert reconcile.calls == [A]
        reconcile.gate.set()
        await eventually(queue.idle)
    assert reconcile.calls == [A, A]
    assert reconcile.most == 1


async def test_workers_work_side_by_side():
    queue, reconcile = Queue("test"), Recording()
    reconcile.gate.clear()
    async with working(queue, reconcile, workers=2):
        queue.add(A)
        queue.add(B)
        await eventually(lambda: reconcile.active == 2)


async def test_the_returned_seconds_bring_the_key_back():
    answers = iter([0.02, None])
    queue, reconcile = Queue("test"), Recording(lambda _: next(answers))
    queue.add(A)
    async with working(queue, reconcile):
        await eventually(lambda: len(reconcile.calls) == 2)
        await asyncio.sleep(0.05)
    assert reconcile.calls == [A, A]


async def test_the_earlier_of_two_delays_counts():
    queue, reconcile = Queue("test"), Recording()
    queue.add_after(A, 60)
    queue.add_after(A, 0.02)
    queue.add_after(A, 30)
    async with working(queue, reconcile):
        await eventually(lambda: reconcile.calls)
        await asyncio.sleep(0.02)
    assert reconcile.calls == [A]
    assert not queue._later


@pytest.mark.parametrize("error", [errors.Conflict(409, "changed"), ValueError("a bug")], ids=["refused", "bug"])
async def test_a_failure_is_tried_again_and_does_not_stop_the_others(error, monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY", 0.01)
    failing = [error, error]

    def answer(key):
        if key == A and failing:
            raise failing.pop()

    queue, reconcile = Queue("test"), Recording(answer)
    queue.add(A)
    queue.add(B)
    async with working(queue, reconcile):
        await eventually(lambda: reconcile.calls.count(A) == 3)
    assert B in reconcile.calls
    assert not queue._failures, "success forgets the failures"


async def test_each_failure_doubles_the_delay_up_to_a_minute(monkeypatch):
    monkeypatch.setattr(module.random, "uniform", lambda *_: 1.0)
    queue = Queue("test")
    assert [round(queue.retry(A), 1) for _ in range(12)] == [
        0.1,
        0.2,
        0.4,
        0.8,
        1.6,
        3.2,
        6.4,
        12.8,
        25.6,
        51.2,
        60,
        60,
    ]
    assert round(queue.retry(B), 1) == 0.1, "each key by itself"
    for timer in queue._later.values():
        timer.cancel()


async def test_what_needs_no_call_does_not_keep_others_from_their_turn():
    """Else a Lease could not be renewed while ten thousand workloads are looked at."""
    queue, done, turns = Queue("test"), [], 0

    async def reconcile(key):
        done.append(key)

    for number in range(100):
        queue.add(Key("production", str(number)))
    async with working(queue, reconcile):
        while len(done) < 100:
            await asyncio.sleep(0)
            turns += 1
    assert turns >= 50


async def test_a_change_goes_before_a_thousand_of_a_resync_and_delayed_keys_are_no_change():
    queue, reconcile = Queue("test"), Recording()
    queue.add_after(Key("staging", "delayed"), 0)
    await asyncio.sleep(0.01)
    for number in range(1000):
        queue.add(Key("production", str(number)), backlog=True)
    queue.add(A)
    async with working(queue, reconcile):
        await eventually(queue.idle)
    assert reconcile.calls[:2] == [A, Key("staging", "delayed")]


async def test_what_is_being_worked_on_is_finished_and_nothing_is_begun():
    queue, reconcile = Queue("test"), Recording()
    reconcile.gate.clear()
    async with working(queue, reconcile):
        queue.add(A)
        await eventually(lambda: reconcile.calls)
        queue.add(B)
        finishing = asyncio.create_task(queue.finish())
        await asyncio.sleep(0.02)
        assert not finishing.done()
        reconcile.gate.set()
        await asyncio.wait_for(finishing, 5)
    assert reconcile.calls == [A]


async def test_a_queue_at_rest_is_finished_at_once():
    queue = Queue("test")
    async with working(queue, Recording()):
        await asyncio.wait_for(queue.finish(), 5)
