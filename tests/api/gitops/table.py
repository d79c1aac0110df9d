"""What is expected of each persona at each step: what the tool is answered, and how many patches of ours follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.api.gitops import controllers, tools
from tests.api.gitops.scenario import STEPS
from tests.api.gitops.tools import CONFLICT, OK, REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Cell:
    """The tool's answer, and how many patches of ours there were until all was at rest, the way out included."""

    answer: str
    patches: int


@dataclass(frozen=True, slots=True)
class Persona:
    """A tool, how the document calls it, and what differs from what holds for most."""

    title: str
    tool: type[tools.Tool]
    differs: Mapping[str, Cell | None]
    """None: this tool can't do that."""
    wipes: bool = False
    """It takes out what is not in its manifest, so a step is a rollout even where nothing else changes."""

    @property
    def name(self) -> str:
        return self.tool.__name__

    def cell(self, step: str) -> Cell | None:
        return self.differs.get(step, USUAL[step])


USUAL: Mapping[str, Cell] = {
    "create": Cell(OK, 1),
    "again": Cell(OK, 0),
    "image": Cell(OK, 0),
    "variable": Cell(OK, 0),
    "container": Cell(OK, 1),  # it is injected too
    "ours": Cell(OK, 1),  # what goes with the name, a sampler's argument, is taken out
    "not ours": Cell(OK, 1),  # ours comes back
    "source": Cell(REFUSED, 2),  # out and in again
    "removal": Cell(OK, 0),
    "back": Cell(OK, 1),
    "out": Cell(OK, 1),
    "after": Cell(OK, 0),
}
UNFORCED = {"ours": Cell(CONFLICT, 1)}
EACH_TIME = {step.name: Cell(OK, 1) for step in STEPS[:-2]} | {"out": Cell(OK, 0)}

PERSONAS = (
    Persona("`kubectl apply`", tools.Apply, {}),
    Persona("`kubectl apply --server-side`", tools.ServerSide, UNFORCED),
    Persona("`kubectl apply -k` (Kustomize)", tools.Kustomize, {}),
    Persona("`kubectl replace`", tools.Replace, EACH_TIME, wipes=True),
    Persona(
        "`kubectl set image`, `set env`",
        tools.Set,
        dict.fromkeys(("again", "container", "source", "removal", "back", "after")),
    ),
    Persona("`kubectl edit`", tools.Edit, {"source": Cell(OK, 0)}),
    Persona("Helm 3 (three-way merge)", tools.HelmThree, {}),
    Persona("Helm 4 (server-side apply)", tools.Helm, UNFORCED),
    Persona("Flux", controllers.Flux, {}),
    Persona("Argo CD", controllers.Argo, {}),
    Persona("Argo CD, `ServerSideApply=true`", controllers.ArgoServerSide, {}),
)
