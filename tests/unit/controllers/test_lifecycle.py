"""What keeps kopf from harming the rest of the process."""

from __future__ import annotations

import asyncio

from kopf._cogs.aiokits import aiotasks

from grpctracing.controllers.lifecycle import LOGIN_SECONDS, NotKopf, Pace


def test_logins_that_are_refused_again_and_again_are_kept_apart():
    pace = Pace()
    assert [pace.wait(float(number)) for number in range(9)] == [0, 0.5, 1, 2, 4, 8, 16, LOGIN_SECONDS, LOGIN_SECONDS]


def test_a_login_after_a_quiet_time_is_not_kept_waiting():
    pace = Pace()
    assert pace.wait(0.0) == 0
    assert pace.wait(LOGIN_SECONDS * 2) == 0


async def test_kopf_ends_its_own_tasks_and_nobody_elses():
    forever = asyncio.Event()
    ours = asyncio.create_task(forever.wait())
    theirs = asyncio.create_task(aiotasks.wait({ours}))
    assert ours in NotKopf()
    assert theirs not in NotKopf()
    assert len(NotKopf()) >= 1
    for task in (theirs, ours):
        task.cancel()
    await asyncio.gather(ours, theirs, return_exceptions=True)
