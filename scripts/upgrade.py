"""What `make upgrade` runs: another release injects, this one takes over, the other one comes back; writes are counted.

    python -m scripts.upgrade [commit] [workloads] [--record]

The other release runs from a git worktree of *commit*, its CustomResourceDefinition before ours as with Helm. `--record`
keeps what it made of a few Deployments in `tests/unit/injection/recorded`, where a unit test holds every later
release to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from grpctracing.kube.resources import DEPLOYMENTS
from tests.api.kills.door import Door
from tests.api.kills.killing import environment_of, quiet
from tests.api.kills.nursery import ROOT, Nursery
from tests.api.running import Place, Rollouts, connected, deployment, eventually, install_crd, new_namespace
from tests.cluster import ControlPlane
from tests.unit.injection.recorded import SHAPES

if TYPE_CHECKING:
    from tests.api.running import Client

FIRST = "996d779"
"""The commit of the first release."""
WORKLOADS = 1000
IN_ONE = 100
"""Workloads per namespace."""
RECORDED = ROOT / "tests" / "unit" / "injection" / "recorded"
CRD = Path("crds") / "grpctracing.dev_grpctracings.yaml"
PATIENCE = 1200.0


@dataclass
class Upgrade:
    """*places* hold the workloads; *door* is the way of all operators, one after the other."""

    client: Client
    door: Door
    directory: Path
    places: list[Place]

    async def turn(self, what: str, root: Path) -> int:
        """Let the release in *root* work until it has nothing more to do; return how many Deployments it patched."""
        await install_crd(self.client, yaml.safe_load((root / CRD).read_text()))
        self.door.writes.clear()
        namespaces = ",".join(place.namespace for place in self.places)
        before = await self.generations()
        began = time.monotonic()
        async with Nursery(self.directory, root) as nursery:
            operator = await nursery.start("run", **environment_of(self.door, namespaces, root))
            await eventually(lambda: operator.code is not None or self.settled(), PATIENCE)
            await quiet(self.door, 5.0)
            if operator.code is not None:
                raise RuntimeError(operator.log.read_text())
        after = await self.generations()
        own = sum(path.endswith("/otel-collector") for path in self.door.patched())
        patched = len(self.door.patched()) - own
        rolled = sum(after[name] != number for name, number in before.items())
        seconds = time.monotonic() - began
        print(
            f"| {what} | {len(before)} | {patched} | {rolled} | {own} | {len(self.door.writes)} | {seconds:.0f} s |",
            flush=True,
        )
        return patched + rolled

    async def settled(self) -> bool:
        """Tell whether all is injected and told, completing rollouts on the way."""
        for place in self.places:
            rollouts = Rollouts(self.client, place.namespace)
            lives = [obj for obj in await self.lives(place) if not complete(obj)]
            for live in lives:
                await rollouts._complete(live)  # noqa: SLF001 - once, where it otherwise goes on for ever
            found = await place.conditions()
            if lives or found.get("Ready", {}).get("status") != "True":
                return False
            if not all("GRPCTRACING_POD_NAME" in str(obj["spec"]) for obj in await self.lives(place) if not own(obj)):
                return False
        return True

    async def lives(self, place: Place) -> list[dict[str, Any]]:
        """Return the Deployments of one namespace."""
        return await self.client.list(DEPLOYMENTS, place.namespace)

    async def generations(self) -> dict[str, int]:
        """Return the generation of every workload."""
        return {
            f"{place.namespace}/{obj['metadata']['name']}": obj["metadata"]["generation"]
            for place in self.places
            for obj in await self.lives(place)
            if not own(obj)
        }


def complete(obj: dict[str, Any]) -> bool:
    """Tell whether the rollout of the present generation has been completed."""
    return bool(obj["status"].get("observedGeneration", 0) == obj["metadata"]["generation"])


def own(obj: dict[str, Any]) -> bool:
    """Tell whether a Deployment is the Collector's."""
    return obj["metadata"]["name"] == "otel-collector"


async def fill(client: Client, workloads: int) -> list[Place]:
    """Make the workloads, all of *SHAPES* in turn, and a GrpcTracing in each namespace."""
    places = []
    for first in range(0, workloads, IN_ONE):
        place = Place(client, await new_namespace(client))
        places.append(place)
        await place.tracing(rollout={"maxConcurrent": 100}, preflight=None)
        for number in range(first, min(first + IN_ONE, workloads)):
            shape = list(SHAPES)[number % len(SHAPES)]
            await place.create(SHAPES[shape](deployment(f"{shape}-{number}")))
    return places


async def record(upgrade: Upgrade, commit: str, before: dict[str, Any]) -> None:
    """Keep one Deployment of each shape as *commit* left it, with its GrpcTracing and the spec from before."""
    place = upgrade.places[0]
    kept = [await place.must("Deployment", name) for name in before]
    tracing = await place.must("GrpcTracing", "default")
    del tracing["status"]
    what = {"tracing": tracing, "deployments": kept, "before": before}
    (RECORDED / f"{commit}.json").write_text(json.dumps(what, separators=(",", ":"), sort_keys=True) + "\n")


async def play(other: Path, commit: str, workloads: int, *, keep: bool) -> bool:
    """Return whether nothing was patched in either direction."""
    with ControlPlane() as plane, tempfile.TemporaryDirectory(prefix="grpctracing-upgrade-") as scratch:
        async with connected(plane.kubeconfig) as client, Door(plane, Path(scratch)) as door:
            await install_crd(client, yaml.safe_load((other / CRD).read_text()))
            upgrade = Upgrade(client, door, Path(scratch), await fill(client, workloads))
            place = upgrade.places[0]
            names = [f"{shape}-{number}" for number, shape in enumerate(SHAPES)]
            before = {name: (await place.must("Deployment", name))["spec"] for name in names}
            print(
                "| operator | workloads | patches | rollouts | of Collectors | all writes | took |\n|---|---|---|---|---|---|---|"
            )
            await upgrade.turn(f"{commit} injects", other)
            if keep:
                await record(upgrade, commit, before)
            wrong = await upgrade.turn("this one takes over (upgrade)", ROOT)
            wrong += await upgrade.turn(f"{commit} comes back (downgrade)", other)
            wrong += await upgrade.turn("this one again", ROOT)
    return not wrong


def main() -> int:
    """Run; return 0 when nobody was restarted."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    commit, workloads = (*words, *(FIRST, str(WORKLOADS))[len(words) :])
    with tempfile.TemporaryDirectory(prefix="grpctracing-release-") as directory:
        other = Path(directory) / "tree"
        subprocess.run(("git", "worktree", "add", "--quiet", "--detach", other, commit), cwd=ROOT, check=True)  # noqa: S607
        with contextlib.ExitStack() as after:
            remove = ("git", "worktree", "remove", "--force", other)
            after.callback(subprocess.run, remove, cwd=ROOT, check=True)
            calm = asyncio.run(play(other, commit, int(workloads), keep="--record" in sys.argv))
    print("nobody was restarted" if calm else "workloads were patched that carried the injection already")
    return 0 if calm else 1


if __name__ == "__main__":
    sys.exit(main())
