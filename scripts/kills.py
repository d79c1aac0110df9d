"""What `make kills` runs: kill -9 of the operator at KILLS points of its work, on a real API server and etcd.

    python -m scripts.kills [kills] [seed]

Each round has a namespace of its own and is compared, object by object, with the same round without a kill: see
`tests/api/kills`. A twentieth of the kills hits the leader of two operators under load.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.api.kills.killing import MOMENTS, TIMED, Run, compare, extra_rollouts
from tests.api.kills.leaders import Siege
from tests.api.kills.nursery import ROOT, Nursery
from tests.api.kills.rounds import ROUNDS
from tests.api.running import connected, install_crd
from tests.cluster import ControlPlane

if TYPE_CHECKING:
    from tests.api.kills.killing import Killed

CRD = ROOT / "crds" / "grpctracing.dev_grpctracings.yaml"
EACH = 5
"""Kills per step of a round."""
LEADERS = 20
"""Of so many kills one hits a leader."""
TOGETHER = 3
"""Rounds at the same time: each waits more than it works."""


@dataclass
class Tally:
    """The table: kills by step and moment, rounds that did or did not converge, rollouts too many or too few."""

    kills: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)
    extra: collections.Counter[str] = field(default_factory=collections.Counter)

    def count(self, kills: list[Killed]) -> None:
        """Count the kills of one round."""
        self.kills.update((kill.step, kill.moment) for kill in kills)

    def print(self) -> None:
        """Print the table, and what was wrong."""
        moments = (*MOMENTS, TIMED)
        heads = ("killed during", "before a write", "unanswered", "≤ 80 ms after", "timed", "kills", "extra rollouts")
        print("| " + " | ".join(heads) + " |")
        print("|---" * len(heads) + "|")
        for step in dict.fromkeys(step for step, _ in self.kills):
            numbers = [self.kills[step, moment] for moment in moments]
            print("| " + " | ".join(map(str, (step, *numbers, sum(numbers), self.extra[step]))) + " |")
        print(f"{self.kills.total()} kills, {len(self.wrong)} differences, {sum(self.extra.values())} extra rollouts")
        for line in self.wrong:
            print(f"  {line[:400]}")


@dataclass
class Play:
    """Rounds until the operator has been killed *kills* times; *seed* makes them repeatable, but for the machine's own pace."""

    run: Run
    kills: int
    seed: int
    tally: Tally = field(default_factory=Tally)
    without: dict[str, Run] = field(default_factory=dict)
    _reserved: int = 0
    _round: int = 0

    async def play(self) -> Tally:
        """Play all, some rounds at a time."""
        calm = await asyncio.gather(*(self.run.anew().play(name) for name in ROUNDS))
        self.without = dict(zip(ROUNDS, calm, strict=True))
        await self._leaders()
        await asyncio.gather(*(self._rounds() for _ in range(TOGETHER)))
        return self.tally

    def _random(self) -> random.Random:
        self._round += 1
        return random.Random(self.seed * 1000 + self._round)  # noqa: S311 - repeatable on purpose

    async def _leaders(self) -> None:
        if number := self.kills // LEADERS:
            run = self.run
            siege = Siege(run.client, run.control_plane, run.nursery, run.directory)
            await siege.play(self._random(), number)
            self.tally.count(siege.kills)
            self.tally.wrong += siege.wrong()
            print(f"leaders: {number} kills, {len(siege.made)} Deployments", flush=True)

    async def _rounds(self) -> None:
        for name in itertools.cycle(ROUNDS):
            most = min(EACH * len(ROUNDS[name]), self.kills - self.tally.kills.total() - self._reserved)
            if most <= 0:
                return
            self._reserved += most
            began = time.monotonic()
            killed = await self.run.anew().play(name, self._random(), EACH, most)
            self._reserved -= most
            self.tally.count(killed.kills)
            found = compare(self.without[name], killed)
            self.tally.wrong += found
            self.tally.extra.update(extra_rollouts(self.without[name], killed))
            took = f"{time.monotonic() - began:.0f} s"
            print(f"{name}: {len(killed.kills)} kills, {len(found)} differences, {took}", flush=True)


async def interrupt(kills: int, seed: int, directory: Path) -> Tally:
    """Return what came of *kills* kills on an API server of its own."""
    definition = yaml.safe_load(CRD.read_text())
    with ControlPlane() as plane:
        async with connected(plane.kubeconfig) as client, Nursery(directory) as nursery:
            await install_crd(client, definition)
            return await Play(Run(client, plane, nursery, directory), kills, seed).play()


def main() -> int:
    """Run; return 0 when everything converged without a rollout too many."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)  # noqa: PLR2004, S311
    print(f"{kills} kills, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="grpctracing-kills-") as directory:
        tally = asyncio.run(interrupt(kills, seed, Path(directory)))
    tally.print()
    return 1 if tally.wrong or any(tally.extra.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
