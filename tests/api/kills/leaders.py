"""Two operators and a Lease, Deployments that keep coming, and a leader that is killed again and again."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.api.kills.door import Door, Trap
from tests.api.kills.killing import LATEST_WRITE, LONGEST, MOMENTS, Killed, environment_of, quiet
from tests.api.kills.rounds import reported
from tests.api.running import Place, Rollouts, eventually, new_namespace

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.api.kills.nursery import Child, Nursery
    from tests.api.running import Client
    from tests.cluster import ControlPlane

LEASE_SECONDS = 5
ARRIVING = 4
"""New Deployments per kill: what the leader works on when it dies."""
TURN = LEASE_SECONDS + 120


@dataclass
class Siege:
    """What came of it: *made* Deployments, and how often each was patched."""

    client: Client
    control_plane: ControlPlane
    nursery: Nursery
    directory: Path
    kills: list[Killed] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    patches: collections.Counter[str] = field(default_factory=collections.Counter)
    generations: dict[str, int] = field(default_factory=dict)

    async def play(self, random: Random, number: int) -> Siege:
        """Kill whoever leads *number* times, then let one end the work."""
        place = Place(self.client, await new_namespace(self.client))
        await place.tracing(rollout={"maxConcurrent": 100})
        playing = asyncio.create_task(Rollouts(place.client, place.namespace).run())
        try:
            async with Door(self.control_plane, self.directory) as one, Door(self.control_plane, self.directory) as two:
                doors = (one, two)
                children = [await self._start(place, door) for door in doors]
                while len(self.kills) < number:
                    await asyncio.gather(self._load(place), self._kill(place, doors, children, random))
                try:
                    await eventually(lambda: self._done(place, doors, children), within=TURN)
                except AssertionError as error:
                    left = [name for name in self.made if not await place.injected(name)]
                    told = (await place.must("GrpcTracing", "default")).get("status", {})
                    logs = "\n".join(child.log.read_text()[-3000:] for child in children)
                    raise AssertionError(f"not injected: {left}; status: {str(told)[:3000]}\n{logs}") from error
                await asyncio.gather(*(quiet(door) for door in doors))
                for child in children:
                    child.kill()
                for path in (path for door in doors for path in door.patched()):
                    self.patches[path.rpartition("/")[2]] += 1
        finally:
            playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing
        for name in self.made:
            self.generations[name] = (await place.must("Deployment", name))["metadata"]["generation"]
        return self

    def wrong(self) -> list[str]:
        """Deployments that were missed, patched twice or rolled out more than once."""
        return [
            f"{name}: {self.patches[name]} patches, generation {self.generations[name]}"
            for name in self.made
            if self.patches[name] > 1
            or self.generations[name] != 2  # of a patch whose sender died nobody may have heard
        ]

    async def _load(self, place: Place) -> None:
        for _ in range(ARRIVING):
            name = f"service-{len(self.made)}"
            self.made.append(name)
            await place.workload(name)

    async def _start(self, place: Place, door: Door) -> Child:
        lease = {"LEASE": f"{place.namespace}/operator", "LEASE_SECONDS": str(LEASE_SECONDS)}
        more = {f"GRPCTRACING_{name}": value for name, value in lease.items()}
        return await self.nursery.start("run", **environment_of(door, place.namespace) | more)

    async def _kill(self, place: Place, doors: tuple[Door, Door], children: list[Child], random: Random) -> None:
        """Wait until one of the two has been killed at a write (only a leader writes), and start another."""
        moment = random.choice(MOMENTS)
        at, after = random.randint(1, LATEST_WRITE), random.uniform(0, LONGEST)
        traps = []
        for door, child in zip(doors, children, strict=True):
            door.set(trap := Trap(at, moment, after, victim=child))
            traps.append(trap)
        waiting = [asyncio.create_task(child.ended.wait()) for child in children]
        done, _ = await asyncio.wait(waiting, timeout=TURN, return_when=asyncio.FIRST_COMPLETED)
        assert done, "nobody leads"
        for waiter in waiting:
            waiter.cancel()
        for index, (door, trap) in enumerate(zip(doors, traps, strict=True)):
            door.set(None)
            if children[index].code is not None:
                # One that a busy machine kept from renewing has ended by itself: begun anew like its container.
                self.kills += [Killed("leader", moment)] if trap.sprung else []
                children[index] = await self._start(place, door)

    async def _done(self, place: Place, doors: tuple[Door, Door], children: list[Child]) -> bool:
        for index, door in enumerate(doors):
            if children[index].code is not None:
                children[index] = await self._start(place, door)
        return all(await asyncio.gather(*(place.injected(name) for name in self.made))) and await reported(place)
