"""`PYTHONPATH` in a manifest, the one variable that we write over: a tool puts it back again and again, and then a way out is taken."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Any, ClassVar

from grpctracing.injection import Reason
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import GRPC_TRACINGS, PODS, Key
from tests.api import running
from tests.api.admission import env_of, pod_of
from tests.api.gitops.play import PATIENCE, Stage, Told
from tests.api.gitops.scenario import NAME, Wanted
from tests.api.gitops.table import Cell
from tests.api.gitops.tools import OK
from tests.api.kubelet import Kubelet, says

PATH = "/app/lib"
CONTENDED = Wanted(app={"PYTHONPATH": PATH})
VISITS = 7
VISITS_AFTER = 3


class Contended(Stage):
    """The tool comes by until it is given way to, then with the manifest *instead*, which is the way out."""

    instead: ClassVar[Wanted]

    async def play(self) -> Told:
        told = Told()
        await self.twin.change(CONTENDED)
        for visit in range(VISITS):
            told.cells[f"before {visit}"] = await self.visit(CONTENDED)
        told.contested = self.reason() == Reason.CONTESTED
        await self.twin.change(self.instead)
        before = self.patches()
        await self.turn()
        for visit in range(VISITS_AFTER):
            told.cells[f"after {visit}"] = await self.visit(self.instead, before if visit == 0 else None)
        told.live, told.twin = await self.both()
        told.reason, told.pod = self.reason(), await self.pod(told.live)
        return told

    async def turn(self) -> None:
        """Take the way out, as far as it is not in the manifest."""

    async def visit(self, wanted: Wanted, before: int | None = None) -> Cell:
        before = self.patches() if before is None else before
        assert await self.tool.change(wanted) == OK
        await self.rest(opted_out=wanted.opted_out)
        return Cell(OK, self.patches() - before)

    def patches(self) -> int:
        return self.client.patches[self.tool.namespace]

    def reason(self) -> str:
        return self.engine.board._verdicts[Key(self.tool.namespace, NAME)].reason

    async def pod(self, live: dict[str, Any]) -> dict[str, Any]:
        """The variables of a pod that would now be made."""
        path = PODS.path(self.tool.namespace)
        made = await self.tool.world.client._json("POST", path, query={"dryRun": "All"}, body=pod_of(live))
        return env_of(made)


class VariablesOnly(Contended):
    """`grpctracing.dev/bootstrap=false`."""

    instead = replace(CONTENDED, bootstrap=False)


class OptedOut(Contended):
    """`grpctracing.dev/inject=false`."""

    instead = replace(CONTENDED, opted_out=True)


class InTheImage(Contended):
    """A new image sets it, and the manifest does so no more."""

    spec: ClassVar[dict[str, Any]] = {"preflight": "Auto"}
    instead = Wanted(image=2, app={})

    async def play(self) -> Told:
        before, after = (wanted.containers()["app"]["image"] for wanted in (CONTENDED, self.instead))
        images = {before: says(), after: says(pythonpath=PATH)}
        kubelet = asyncio.create_task(Kubelet(self.tool.world.client, self.tool.namespace, images).run())
        try:
            return await super().play()
        finally:
            kubelet.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await kubelet


class ByPolicy(Contended):
    """`rollout.strategy: Admission`; the manifest stays as it is."""

    instead = CONTENDED

    async def turn(self) -> None:
        path, body = (
            GRPC_TRACINGS.path(self.tool.namespace, "default"),
            {"spec": {"rollout": {"strategy": "Admission"}}},
        )
        await self.tool.world.client._json("PATCH", path, body=body, content_type=MERGE)
        rollouts = running.Rollouts(self.tool.world.client, self.tool.namespace)

        async def through() -> bool:
            await rollouts._complete((await self.both())[0])  # of the patch that takes ours out
            return self.reason() == Reason.THROUGH_ADMISSION

        await running.eventually(through, within=PATIENCE)

    async def pod(self, live: dict[str, Any]) -> dict[str, Any]:
        async def injected() -> dict[str, Any] | None:
            found = await super(ByPolicy, self).pod(live)
            return found if "GRPCTRACING_POD_NAME" in found else None

        return await running.eventually(injected, within=PATIENCE)


WAYS_OUT: tuple[type[Stage], ...] = (VariablesOnly, OptedOut, InTheImage, ByPolicy)
