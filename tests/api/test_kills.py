"""kill -9 at a write: a slice of `make kills`, which does it 200 times."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.api.kills.killing import Run, compare, extra_rollouts
from tests.api.kills.leaders import Siege
from tests.api.kills.nursery import Nursery
from tests.api.kills.rounds import ROUNDS

pytestmark = [pytest.mark.api, pytest.mark.timeout(600)]  # six rounds at once, on whatever else the machine does


@pytest.fixture
async def nursery(tmp_path):
    async with Nursery(tmp_path) as nursery:
        yield nursery


async def test_killed_in_every_step_the_cluster_ends_as_without_a_kill(control_plane, client, nursery, tmp_path):
    def run():
        return Run(client, control_plane, nursery, tmp_path)

    seed = random.Random(6)
    without, killed = await asyncio.gather(
        asyncio.gather(*(run().play(name) for name in ROUNDS)),
        asyncio.gather(*(run().play(name, seed, each=1, most=9) for name in ROUNDS)),
    )
    for calm, shaken in zip(without, killed, strict=True):
        assert {kill.step for kill in shaken.kills} == calm.states.keys(), "each step was interrupted"
        assert compare(calm, shaken) == []
        assert not any(extra_rollouts(calm, shaken).values())


async def test_leaders_killed_under_load_leave_no_deployment_out_and_patch_none_twice(
    control_plane, client, nursery, tmp_path
):
    siege = await Siege(client, control_plane, nursery, tmp_path).play(random.Random(6), 3)
    assert len(siege.kills) == 3
    assert len(siege.made) > 5
    assert siege.wrong() == []
