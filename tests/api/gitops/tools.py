"""The tools: the real programs, where there is one, pointed at one namespace each."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import yaml

from tests.api.gitops.scenario import NAME
from tests.cluster.tools import tool

if TYPE_CHECKING:
    from tests.api.gitops.scenario import Wanted
    from tests.api.running import Client

OK, CONFLICT, REFUSED = "ok", "409", "422"
DEPLOYMENT = f"deployment/{NAME}"
AT_ONCE = 3  # processes; each takes a tenth of a second of CPU and more of waiting
MESSAGES = {"Apply failed with": CONFLICT, "may not be specified when `value` is not empty": REFUSED}


@dataclass
class World:
    """What all tools share: where the API server is, a folder of their own, and places to run."""

    client: Client
    kubeconfig: Path
    root: Path
    places: asyncio.Semaphore

    async def run(self, *words: str, **env: str) -> tuple[int, str]:
        """Return exit code and standard error of a command."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "KUBECONFIG": str(self.kubeconfig), **env}
        async with self.places:
            process = await asyncio.create_subprocess_exec(
                *words, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            _, said = await process.communicate()
        return process.returncode or 0, said.decode()


class Tool:
    """One tool in one namespace; *before* is the manifest that it applied last."""

    takes_over: ClassVar[bool] = False
    """It takes away what was written by kubectl and is not in its manifest, annotations included."""

    def __init__(self, world: World, namespace: str) -> None:
        self.world = world
        self.namespace = namespace
        self.folder = world.root / namespace
        self.folder.mkdir()
        self.file = self.folder / "deployment.yaml"
        self.before: Wanted | None = None

    async def change(self, wanted: Wanted, *, force: bool = False) -> str:
        """Bring *wanted* to the API server as this tool does; return OK, CONFLICT or REFUSED."""
        self.file.write_text(yaml.safe_dump(wanted.manifest(), sort_keys=False), "utf-8")
        answer = await self.act(wanted, force=force)
        if answer == OK:
            self.before = wanted
        return answer

    async def back(self, wanted: Wanted) -> str:
        """Return to the manifest before the last, which is *wanted*."""
        return await self.change(wanted)

    async def synced(self) -> bool:
        """Tell whether the tool finds that nothing is to be done."""
        return True

    async def act(self, wanted: Wanted, *, force: bool) -> str:
        raise NotImplementedError

    async def kubectl(self, *words: str, **env: str) -> str:
        return outcome(*await self.world.run(str(tool("kubectl")), "--namespace", self.namespace, *words, **env))

    async def annotate(self, value: str) -> None:
        """What a person does by hand: *value* is `=false`, or `-` to take it away."""
        assert await self.kubectl("annotate", "--overwrite", DEPLOYMENT, f"grpctracing.dev/inject{value}") == OK


def outcome(code: int, said: str) -> str:
    if code == 0:
        return OK
    for words, answer in MESSAGES.items():
        if words in said:
            return answer
    raise AssertionError(f"exit code {code}: {said}")


class Apply(Tool):
    """`kubectl apply`: a three-way merge on the client."""

    words: ClassVar[tuple[str, ...]] = ()

    async def act(self, wanted: Wanted, *, force: bool) -> str:
        forced = ("--force-conflicts",) if force else ()
        return await self.kubectl("apply", *self.words, *forced, "-f", str(self.file))


class ServerSide(Apply):
    """`kubectl apply --server-side`."""

    words = ("--server-side",)


class Replace(Tool):
    """`kubectl replace`: the manifest is all there is."""

    async def act(self, wanted: Wanted, *, force: bool) -> str:
        return await self.kubectl("create" if self.before is None else "replace", "-f", str(self.file))


class Kustomize(Tool):
    """`kubectl apply -k` of an overlay."""

    async def act(self, wanted: Wanted, *, force: bool) -> str:
        base, overlay = self.folder / "base", self.folder / "overlay"
        for folder, what in (
            (base, {"resources": ["deployment.yaml"]}),
            (
                overlay,
                {
                    "resources": ["../base"],
                    "images": [{"name": f"registry.invalid/{NAME}", "newTag": str(wanted.image)}],
                },
            ),
        ):
            folder.mkdir(exist_ok=True)
            (folder / "kustomization.yaml").write_text(yaml.safe_dump(what), "utf-8")
        (base / "deployment.yaml").write_bytes(self.file.read_bytes())
        return await self.kubectl("apply", "-k", str(overlay))


class Set(Tool):
    """`kubectl set image` and `kubectl set env`: only what changes."""

    async def act(self, wanted: Wanted, *, force: bool) -> str:
        if self.before is None:
            return await self.kubectl("create", "-f", str(self.file))
        if wanted.opted_out and not self.before.opted_out:
            await self.annotate("=false")
        if wanted.image != self.before.image:
            image = wanted.containers()["app"]["image"]
            assert await self.kubectl("set", "image", DEPLOYMENT, f"app={image}") == OK
        gone = [f"{name}-" for name in self.before.app if name not in wanted.app]
        new = [f"{name}={value}" for name, value in wanted.app.items() if self.before.app.get(name) != value]
        return await self.kubectl("set", "env", DEPLOYMENT, "-c", "app", *gone, *new) if gone + new else OK


class Edit(Tool):
    """`kubectl edit`, with an editor that does to the live object what a person would."""

    async def act(self, wanted: Wanted, *, force: bool) -> str:
        if self.before is None:
            return await self.kubectl("create", "-f", str(self.file))
        changes = self.folder / "changes.json"
        changes.write_text(json.dumps([self.before.manifest(), wanted.manifest()]), "utf-8")
        editor = f"{sys.executable} {Path(__file__).with_name('editor.py')} {changes}"
        return await self.kubectl("edit", DEPLOYMENT, EDITOR=editor)


class Helm(Tool):
    """`helm upgrade` and `helm rollback` as Helm 4 does them: server-side apply, not forced."""

    words: ClassVar[tuple[str, ...]] = ()

    async def act(self, wanted: Wanted, *, force: bool) -> str:
        templates = self.folder / "chart" / "templates"
        templates.mkdir(parents=True, exist_ok=True)
        (templates / "deployment.yaml").write_bytes(self.file.read_bytes())
        chart = {"apiVersion": "v2", "name": "payment", "version": "1.0.0"}
        (self.folder / "chart" / "Chart.yaml").write_text(yaml.safe_dump(chart), "utf-8")
        forced = ("--force-conflicts",) if force else ()
        return await self.helm("upgrade", "--install", *self.words, *forced, "payment", str(self.folder / "chart"))

    async def back(self, wanted: Wanted) -> str:
        self.before = wanted
        return await self.helm("rollback", *self.words, "payment")

    async def helm(self, *words: str) -> str:
        return outcome(*await self.world.run(str(tool("helm")), "--namespace", self.namespace, *words))


class HelmThree(Helm):
    """Helm 4 told to do as Helm 3 does: a three-way merge on the client, by the code that Helm 3 has."""

    words = ("--server-side=false",)
