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
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.operator.fleet import Controller, each
from grpctracing.kube.resources import DEPLOYMENTS, GRPC_TRACINGS, key_of
from tests.api.kills.door import Door
from tests.api.kills.killing import environment_of, quiet
from tests.api.kills.nursery import ROOT, Nursery
from tests.api.process import ask, free_port
from tests.api.running import Place, connected, deployment, install_crd, new_namespace
from tests.cluster import ControlPlane
from tests.unit.injection.recorded import SHAPES

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from grpctracing.kube.resources import Key
    from tests.api.running import Client

FIRST = "996d779"
"""The commit of the first release."""
WORKLOADS = 1000
IN_ONE = 100
"""Workloads per namespace."""
RECORDED = ROOT / "tests" / "unit" / "injection" / "recorded"
CRD = Path("crds") / "grpctracing.dev_grpctracings.yaml"
PATIENCE = 1200.0
GLANCE = 1.0


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
        namespaces, port = ",".join(place.namespace for place in self.places), free_port()
        before = await self.generations()
        began = time.monotonic()
        async with Nursery(self.directory, root) as nursery:
            environment = environment_of(self.door, namespaces, root) | {"GRPCTRACING_HTTP_PORT": str(port)}
            operator = await nursery.start("run", **environment)
            while operator.code is None and not (await rests(port, len(before)) and await self.settled()):
                if time.monotonic() - began > PATIENCE:
                    raise TimeoutError(f"{what}: not done after {PATIENCE:.0f} s")
                await asyncio.sleep(GLANCE)
            seconds = time.monotonic() - began
            await quiet(self.door, 5.0)
            if operator.code is not None:
                raise RuntimeError(operator.log.read_text())
        after = await self.generations()
        own = sum(path.endswith("/otel-collector") for path in self.door.patched())
        patched = len(self.door.patched()) - own
        rolled = sum(after[name] != number for name, number in before.items())
        print(
            f"| {what} | {len(before)} | {patched} | {rolled} | {own} | {len(self.door.writes)} | {seconds:.0f} s |",
            flush=True,
        )
        return patched + rolled

    async def settled(self) -> bool:
        """Tell whether all is injected, rolled out and told."""
        for obj in await self.client.list(GRPC_TRACINGS):
            told = {condition["type"]: condition["status"] for condition in obj.get("status", {}).get("conditions", ())}
            if told.get("Ready") != "True":
                return False
        return all("GRPCTRACING_POD_NAME" in str(obj["spec"]) and complete(obj) for obj in await self.lives())

    async def lives(self) -> list[dict[str, Any]]:
        """Return all Deployments but the Collectors."""
        found = await self.client.list(DEPLOYMENTS)
        return [obj for obj in found if obj["metadata"]["name"] != "otel-collector"]

    async def generations(self) -> dict[Key, int]:
        """Return the generation of every workload."""
        return {key_of(obj): obj["metadata"]["generation"] for obj in await self.lives()}


async def rests(port: int, workloads: int) -> bool:
    """Tell whether an operator has looked at so many *workloads*, and none waits."""
    _, metrics = await ask(port, "/metrics")
    looks = re.findall(
        r'^grpctracing_reconciles_total\{controller="workload",result="ok"\} (\S+)', metrics, re.MULTILINE
    )
    waiting = re.findall(r"^grpctracing_queue_depth\{.*\} (\S+)", metrics, re.MULTILINE)
    return sum(map(float, looks)) >= workloads and not any(map(float, waiting))


def complete(obj: dict[str, Any]) -> bool:
    """Tell whether the rollout of the present generation has been completed."""
    return bool(obj.get("status", {}).get("observedGeneration", 0) == obj["metadata"]["generation"])


async def fill(client: Client, workloads: int) -> list[Place]:
    """Make the workloads, all of *SHAPES* in turn, and a GrpcTracing in each namespace."""
    places = [Place(client, await new_namespace(client)) for _ in range(0, workloads, IN_ONE)]
    names = list(SHAPES)

    def workload(number: int) -> Awaitable[Any]:
        shape = names[number % len(names)]
        return places[number // IN_ONE].create(SHAPES[shape](deployment(f"{shape}-{number}")))

    await each(workload(number) for number in range(workloads))
    await each(place.tracing(rollout={"maxConcurrent": 100}, preflight=None) for place in places)
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
        async with (
            connected(plane.kubeconfig) as client,
            Controller(client).running(),
            Door(plane, Path(scratch)) as door,
        ):
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
