"""Rounds with kills: each step of a round is begun by operators that are killed at a write, and ended by one that is not."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.api.kills.door import Door, Trap
from tests.api.kills.rounds import OPERATOR, ROUNDS
from tests.api.kills.state import differences, generations, snapshot
from tests.api.process import ROOT
from tests.api.running import Place, Rollouts, eventually, new_namespace

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.api.kills.nursery import Child, Nursery
    from tests.api.kills.rounds import Step
    from tests.api.running import Client
    from tests.cluster import ControlPlane

MOMENTS = ("before", "unanswered", "after")
TIMED = "timed"
"""Where no write came any more: killed at a random time instead."""
LATEST_WRITE = 4
LONGEST = 0.08
"""Seconds after a write: long enough for the next decision, and often for its write."""
PATIENCE = 2.5
QUIET = 1.0
WITHIN = 240.0


@dataclass
class Killed:
    """One kill: in which step, and at which moment of it."""

    step: str
    moment: str


@dataclass
class Run:
    """One round in a namespace of its own, and what came of it: *states* by step, *kills* in their order."""

    client: Client
    control_plane: ControlPlane
    nursery: Nursery
    directory: Path
    kills: list[Killed] = field(default_factory=list)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)

    def anew(self) -> Run:
        """Return a run of its own on the same API server."""
        return Run(self.client, self.control_plane, self.nursery, self.directory)

    async def play(self, name: str, random: Random | None = None, each: int = 0, most: int = 0) -> Run:
        """Play a round with *each* kills per step, *most* in all."""
        place = Place(self.client, await new_namespace(self.client))
        rollouts = Rollouts(place.client, place.namespace)
        playing = asyncio.create_task(rollouts.run())
        try:
            async with Door(self.control_plane, self.directory) as door:
                for step in ROUNDS[name]:
                    await step.change(place, rollouts)
                    if random is not None:
                        await self._kills(place, door, step, random, min(each, most - len(self.kills)))
                    await self._finish(place, door, step)
                    self.states[step.name] = await snapshot(place)
        finally:
            playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing
        return self

    async def _kills(self, place: Place, door: Door, step: Step, random: Random, number: int) -> None:
        for _ in range(number):
            moment = random.choice(MOMENTS)
            trap = Trap(random.randint(1, LATEST_WRITE), moment, after=random.uniform(0, LONGEST))
            timed = random.uniform(0.2, PATIENCE)
            door.set(trap)
            child = trap.victim = await self._start(place, door, step)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.ended.wait(), timed if random.random() < 0.1 else PATIENCE)
            child.kill()
            await child.ended.wait()
            door.set(None)
            if child.code == -signal.SIGKILL:
                self.kills.append(Killed(step.name, moment if trap.sprung else TIMED))
            elif step.words == "uninstall" and child.code == 0:
                return  # it was done before the write that it should have died at
            else:
                raise AssertionError(f"ended by itself with {child.code}:\n{child.log.read_text()}")

    async def _finish(self, place: Place, door: Door, step: Step) -> None:
        child = await self._start(place, door, step)
        if step.words == "uninstall":
            await asyncio.wait_for(child.ended.wait(), WITHIN)
            assert child.code == 0, child.log.read_text()
            return
        try:
            await eventually(lambda: child.code is not None or step.done(place), WITHIN)
            await quiet(door)
        finally:
            child.send(signal.SIGTERM)
            await asyncio.wait_for(child.ended.wait(), 30)
        assert child.code == 0, child.log.read_text()

    async def _start(self, place: Place, door: Door, step: Step) -> Child:
        environment = environment_of(door, place.namespace)
        if step.words == "uninstall":
            environment["GRPCTRACING_OPERATOR_DEPLOYMENT"] = f"{place.namespace}/{OPERATOR}"
        return await self.nursery.start(step.words, **environment)


def environment_of(door: Door, namespace: str, root: Path = ROOT) -> dict[str, str]:
    return {
        "KUBECONFIG": str(door.kubeconfig),
        "GRPCTRACING_PAYLOAD_DIR": str(root / "sidecar" / "payload"),
        "GRPCTRACING_HTTP_PORT": "0",
        "GRPCTRACING_PROOF_SECONDS": "0",
        "GRPCTRACING_REQUESTS_PER_SECOND": "200",
        "GRPCTRACING_WATCH_NAMESPACES": namespace,
    }


async def quiet(door: Door, seconds: float = QUIET) -> None:
    """Return when the operator has written nothing for *seconds*."""
    known, since = len(door.writes), time.monotonic()
    end = since + 30
    while time.monotonic() - since < seconds:
        assert time.monotonic() < end, f"never quiet: {door.writes[-5:]}"
        await asyncio.sleep(0.05)
        if len(door.writes) != known:
            known, since = len(door.writes), time.monotonic()


def compare(without: Run, killed: Run) -> list[str]:
    """What differs after any step between a round without and one with kills."""
    return [
        f"{step}: {line}" for step, state in without.states.items() for line in differences(state, killed.states[step])
    ]


def extra_rollouts(without: Run, killed: Run) -> dict[str, int]:
    """By step, the rollouts of all Deployments beyond those that the step has without a kill."""
    found = {}
    before = 0
    for step, state in without.states.items():
        want, got = generations(state), generations(killed.states[step])
        more = sum(abs(got.get(name, 0) - number) for name, number in want.items())
        found[step], before = more - before, more
    return found
