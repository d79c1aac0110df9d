"""kopf is begun anew where it has given up, and only where its kind is served."""

from __future__ import annotations

import asyncio

import pytest

from grpctracing.controllers import perseverance
from grpctracing.kube import errors
from tests.unit.kube.fake_server import FakeServer, eventually, page, refusal, served


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(perseverance, "FIRST_PAUSE", 0.01)


async def run(client, stop):
    async def left(*_):
        """Nothing is deleted here."""

    await perseverance.run(client, (), look=print, left=left, stop=stop, interrupted=asyncio.Event())


async def test_it_is_begun_again_after_whatever_ended_it_until_told_to_stop(monkeypatch, caplog):
    stop, runs = asyncio.Event(), []

    async def kopf(*_, **__):
        runs.append(1)
        if len(runs) < 3:
            raise RuntimeError("Error in the watch-stream")
        await stop.wait()

    monkeypatch.setattr(perseverance.lifecycle, "run", kopf)
    async with served(FakeServer(lists=[page(1)])) as client:
        task = asyncio.create_task(run(client, stop))
        await eventually(lambda: len(runs) == 3)
        stop.set()
        await asyncio.wait_for(task, 5)
    told = [record for record in caplog.records if record.message == "finalizers wait"]
    assert [record.error for record in told] == ["RuntimeError: Error in the watch-stream"] * 2


async def test_it_is_not_begun_while_its_kind_is_not_served(monkeypatch):
    stop, asked_before = asyncio.Event(), []

    async def kopf(*_, **__):
        asked_before.append(len(fake.asked))
        await stop.wait()

    monkeypatch.setattr(perseverance.lifecycle, "run", kopf)
    fake = FakeServer(lists=[refusal(404), refusal(404), page(1)])
    async with served(fake) as client:
        task = asyncio.create_task(run(client, stop))
        await eventually(lambda: asked_before)
        stop.set()
        await asyncio.wait_for(task, 5)
    assert asked_before == [3]


async def test_one_that_leads_no_more_is_not_begun_again(monkeypatch):
    async def kopf(*_, **__):
        raise errors.NotLeader(0, "not sent")

    monkeypatch.setattr(perseverance.lifecycle, "run", kopf)
    async with served(FakeServer(lists=[page(1)])) as client:
        with pytest.raises(errors.NotLeader):
            await asyncio.wait_for(run(client, asyncio.Event()), 5)
