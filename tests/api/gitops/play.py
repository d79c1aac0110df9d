"""Plays the scenario: each persona in a namespace with a GrpcTracing, and in another one without, where its twin does the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from grpctracing.injection import State
from grpctracing.kube import config
from grpctracing.kube.client import Client
from grpctracing.kube.resources import DEPLOYMENTS, Key
from tests.api import running
from tests.api.gitops.scenario import NAME, STEPS, Step
from tests.api.gitops.table import PERSONAS, Cell, Persona
from tests.api.gitops.tools import AT_ONCE, CONFLICT, OK, REFUSED, Tool, World

if TYPE_CHECKING:
    from grpctracing.controllers.engine import Engine
    from tests.cluster import ControlPlane

PATIENCE = 120.0  # eleven personas share the machine with whatever else runs there


class Counting(Client):
    """The operator's client; counts the patches of Deployments that were accepted."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.patches: Counter[str] = Counter()

    async def patch(self, resource: Any, namespace: str, *args: Any, **more: Any) -> dict[str, Any]:
        answer = await super().patch(resource, namespace, *args, **more)
        self.patches[namespace] += resource is DEPLOYMENTS
        return answer


@dataclass
class Told:
    """What a persona went through: per step its cell, then what was not right: lost values, drift, rollouts without a cause."""

    cells: dict[str, Cell] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)
    twin: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    contested: bool = False
    pod: dict[str, Any] = field(default_factory=dict)
    """Variables of a pod that would be made in the end."""


@dataclass
class Stage:
    """Where one persona plays: its tool beside the operator, its twin without."""

    spec: ClassVar[dict[str, Any]] = {"rollout": {"strategy": "Patch"}}
    """What the GrpcTracing says beyond what all say."""
    engine: Engine
    client: Counting
    persona: Persona
    tool: Tool
    twin: Tool

    async def play(self) -> Told:
        told = Told()
        for step in STEPS:
            if self.plays(step):
                told.cells[step.name], told.wrong[step.name] = await self.step(step)
        told.live, told.twin = await self.both()
        return told

    def plays(self, step: Step) -> bool:
        return self.persona.cell(step.name) is not None

    async def step(self, step: Step) -> tuple[Cell, list[str]]:
        patches = self.client.patches[self.tool.namespace]
        generations = await self.generations() if self.tool.before else (0, 0)
        assert await self.do(self.twin, step) == OK
        answer = await self.do(self.tool, step)
        if answer == CONFLICT:
            assert await self.tool.change(step.wanted, force=True) == OK
        elif answer == REFUSED:
            assert await self.out_and_in(step) == OK
        live, twin = await self.rest(opted_out=step.wanted.opted_out)
        ours = self.client.patches[self.tool.namespace] - patches
        wrong = [*differences(live, twin)]
        if not await self.tool.synced():
            wrong.append("the tool finds a difference")
        grown = [after - before for after, before in zip(await self.generations(), generations, strict=True)]
        if answer == REFUSED:  # an annotation of a Deployment counts as a generation, and restarts nobody
            grown[0] -= 1 if self.tool.takes_over else 2
        if grown[0] != grown[1] + ours and not (self.persona.wipes and grown[0] == 2 * ours):
            wrong.append(f"{grown[0]} generations; without us {grown[1]}, and {ours} patches")
        return Cell(answer, ours), wrong

    async def do(self, tool: Tool, step: Step) -> str:
        return await (tool.back(step.wanted) if step.back else tool.change(step.wanted))

    async def out_and_in(self, step: Step) -> str:
        """The way out that the document gives: opt out, let the tool apply, opt in again."""
        await self.tool.annotate("=false")
        await self.rest(opted_out=True)
        answer = await self.tool.change(step.wanted)
        await self.tool.annotate("-")
        return answer

    async def rest(self, *, opted_out: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return both Deployments when the operator has said its last word on the one that is there now."""
        key = Key(self.tool.namespace, NAME)
        rollouts = running.Rollouts(self.tool.world.client, self.tool.namespace)
        end = asyncio.get_running_loop().time() + PATIENCE
        while True:
            live = await self.tool.world.client.get(DEPLOYMENTS, self.tool.namespace, NAME)
            await rollouts._complete(live)
            cached, queue = self.engine.world.deployments.get(key), self.engine.workload_queue
            seen = cached is not None and cached["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
            verdict = self.engine.board._verdicts.get(key)
            states = {State.SKIPPED} if opted_out else {State.INJECTED, State.DEGRADED}
            at_rest = key not in queue._ready and key not in queue._working
            if seen and at_rest and verdict and verdict.state in states:
                return await self.both()
            assert asyncio.get_running_loop().time() < end, f"{self.persona.name} has no rest: {verdict}"
            await asyncio.sleep(0.2)

    async def both(self) -> tuple[dict[str, Any], dict[str, Any]]:
        client = self.tool.world.client
        live = await client.get(DEPLOYMENTS, self.tool.namespace, NAME)
        return live, await client.get(DEPLOYMENTS, self.twin.namespace, NAME)

    async def generations(self) -> tuple[int, ...]:
        return tuple(obj["metadata"]["generation"] for obj in await self.both())


class Admitted(Stage):
    """The same under strategy Admission: nothing is written, no step has an error, and no status is played for anybody."""

    spec: ClassVar[dict[str, Any]] = {"rollout": {"strategy": "Admission"}}

    def plays(self, step: Step) -> bool:
        return step.name in {"create", "image", "ours", "source", "removal"}  # opting out: docs/admission.md

    async def step(self, step: Step) -> tuple[Cell, list[str]]:
        assert await self.do(self.twin, step) == OK
        answer = await self.do(self.tool, step)
        live, twin = await self.both()
        await self.rest(opted_out=False)
        later, _ = await self.both()
        wrong = [] if live["spec"] == twin["spec"] else ["the spec is not as without us"]
        if running.version(live) != running.version(later):
            wrong.append("somebody wrote after the tool")
        if live["metadata"]["generation"] != twin["metadata"]["generation"]:
            wrong.append("a generation more than without us")
        if not await self.tool.synced():
            wrong.append("the tool finds a difference")
        return Cell(answer, self.client.patches[self.tool.namespace]), wrong

    async def rest(self, *, opted_out: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return both when the policy is in force and the operator has seen the Deployment that is there now."""
        key = Key(self.tool.namespace, NAME)

        async def seen() -> tuple[dict[str, Any], dict[str, Any]] | None:
            live, twin = await self.both()
            cached, queue = self.engine.world.deployments.get(key), self.engine.workload_queue
            facts = self.engine.board.facts.get(Key(self.tool.namespace, "default"))
            policy = facts is not None and facts.policy
            current = (
                cached is not None and cached["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
            )
            at_rest = key not in queue._ready and key not in queue._working
            return (live, twin) if policy and current and at_rest else None

        return await running.eventually(seen, within=PATIENCE)


STRATEGIES: tuple[type[Stage], ...] = (Stage, Admitted)
WITHOUT_A_DIFFERENCE = ("Apply", "ServerSide", "Helm", "Flux", "Argo", "ArgoServerSide")


def differences(live: dict[str, Any], twin: dict[str, Any]) -> list[str]:
    """Return what of the user's *live* has lost: *twin* is the same without us."""
    here, there = (
        {item["name"]: item for item in obj["spec"]["template"]["spec"]["containers"]} for obj in (live, twin)
    )
    found = [] if list(here) == list(there) else [f"containers {list(here)}, not {list(there)}"]
    for name, container in there.items():
        mine = here.get(name, {})
        if mine.get("image") != container["image"]:
            found.append(f"{name}: image {mine.get('image')}")
        found += [f"{name}: {entry}" for entry in container.get("env", ()) if entry not in mine.get("env", ())]
    return found


async def play(
    control_plane: ControlPlane, crd: dict[str, Any], with_flux: tuple[type[Stage], ...]
) -> dict[tuple[str, str], Told | BaseException]:
    """Return what each persona was told, or what it failed of, by kind of stage and name; all play at once beside one operator.

    Flux plays on the stages *with_flux* as well.
    """
    with tempfile.TemporaryDirectory() as root:
        async with running.connected(control_plane.kubeconfig) as client:
            await running.install_crd(client, crd)
            world = World(client, control_plane.kubeconfig, Path(root), asyncio.Semaphore(AT_ONCE))
            counting = Counting(await config.load({"KUBECONFIG": str(control_plane.kubeconfig)}), rate=1000)
            try:
                async with running.running(counting) as engine:
                    stages = [
                        await stage(engine, counting, world, persona, strategy)
                        for strategy in STRATEGIES
                        for persona in PERSONAS
                        if strategy is Stage or persona.name in WITHOUT_A_DIFFERENCE
                    ]
                    flux = next(persona for persona in PERSONAS if persona.name == "Flux")
                    stages += [await stage(engine, counting, world, flux, kind) for kind in with_flux]
                    told = await asyncio.gather(*(each.play() for each in stages), return_exceptions=True)
            finally:
                await counting.close()
    assert not [each for each in stages if counting.patches[each.twin.namespace]], "a twin was written"
    return {(type(each).__name__, each.persona.name): what for each, what in zip(stages, told, strict=True)}


async def stage(engine: Engine, counting: Counting, world: World, persona: Persona, kind: type[Stage]) -> Stage:
    live, twin = [await running.new_namespace(world.client) for _ in range(2)]
    await running.Place(world.client, live).tracing(**kind.spec)
    return kind(engine, counting, persona, persona.tool(world, live), persona.tool(world, twin))
