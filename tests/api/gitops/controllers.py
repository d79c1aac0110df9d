"""Flux and Argo CD: what their controllers ask of the API server, without the controllers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

from grpctracing.kube import errors
from grpctracing.kube.resources import DEPLOYMENTS
from tests.api.gitops.scenario import NAME
from tests.api.gitops.tools import OK, REFUSED, Apply, Tool
from tests.cluster.tools import tool

if TYPE_CHECKING:
    from tests.api.gitops.scenario import Wanted

MANAGER = "kustomize-controller"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Flux(Tool):
    """What kustomize-controller does (fluxcd/pkg/ssa): take over from kubectl, dry-run, and force where that differs.

    The Deployment was made by `kubectl apply` before Flux had it.
    """

    takes_over = True

    async def act(self, wanted: Wanted, *, force: bool) -> str:
        if self.before is None:
            assert await self.kubectl("apply", "-f", str(self.file)) == OK
        while not await self.took_over():
            pass  # somebody was faster
        try:
            if not await self.same(wanted):
                await self.apply(wanted)
        except errors.Invalid as error:
            assert "may not be specified when `value` is not empty" in str(error)  # noqa: PT017 - the only refusal there may be
            return REFUSED
        return OK

    async def synced(self) -> bool:
        assert self.before is not None
        return await self.same(self.before)

    async def took_over(self) -> bool:
        """Make kubectl's entries in the books its own, as `PatchReplaceFieldsManagers` does; False where they changed meanwhile."""
        live = await self.live()
        books = live["metadata"]["managedFields"]
        taken = [record for record in books if record["manager"].startswith(("kubectl", "before-first-apply"))]
        if not taken:
            return True
        own = [record for record in books if (record["manager"], record["operation"]) == (MANAGER, "Apply")]
        merged = {**(own or taken)[0], "manager": MANAGER, "operation": "Apply"}
        for record in taken:
            merged["fieldsV1"] = united(merged["fieldsV1"], record["fieldsV1"])
        kept = [record for record in books if record not in taken + own]
        patch: list[dict[str, Any]] = [
            {"op": "replace", "path": "/metadata/managedFields", "value": [*kept, merged]},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        ]
        if LAST_APPLIED in live["metadata"].get("annotations", {}):
            patch.append({"op": "remove", "path": "/metadata/annotations/" + LAST_APPLIED.replace("/", "~1")})
        kind = "application/json-patch+json"
        try:
            await self.world.client._json(
                "PATCH", self.path, query={"fieldManager": MANAGER}, body=patch, content_type=kind
            )
        except errors.Conflict:
            return False
        return True

    async def same(self, wanted: Wanted) -> bool:
        """Tell whether applying *wanted* would change nothing."""
        live, would = await self.live(), await self.apply(wanted, dryRun="All")
        return without_books(live) == without_books(would)

    async def apply(self, wanted: Wanted, **query: str) -> dict[str, Any]:
        body = wanted.manifest()
        body["metadata"]["namespace"] = self.namespace
        return await self.world.client._json(
            "PATCH",
            self.path,
            query={"fieldManager": MANAGER, "force": "true", **query},
            body=body,
            content_type="application/apply-patch+yaml",
        )

    async def live(self) -> dict[str, Any]:
        return await self.world.client.get(DEPLOYMENTS, self.namespace, NAME)

    @property
    def path(self) -> str:
        return DEPLOYMENTS.path(self.namespace, NAME)


def united(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of both."""
    return {key: united(one.get(key, {}), other.get(key, {})) for key in {**one, **other}}


def without_books(live: dict[str, Any]) -> dict[str, Any]:
    """Return what Flux compares: all but what the server writes."""
    live = copy.deepcopy(live)
    for name in ("managedFields", "resourceVersion", "generation"):
        live["metadata"].pop(name, None)
    live.pop("status", None)
    return live


class Argo(Apply):
    """What Argo CD's application controller does: a three-way diff, and where that shows something, `kubectl apply`.

    gitops-engine uses kubectl's own code for both, so kubectl stands for it.
    """

    words: ClassVar[tuple[str, ...]] = ("--field-manager=argocd-controller",)

    async def act(self, wanted: Wanted, *, force: bool) -> str:
        if self.before is not None and wanted == self.before and await self.synced():
            return OK
        return await super().act(wanted, force=force)

    async def synced(self) -> bool:
        words = (str(tool("kubectl")), "--namespace", self.namespace, "diff", *self.words, "-f", str(self.file))
        code, said = await self.world.run(*words)
        assert code in {0, 1}, said
        return code == 0


class ArgoServerSide(Argo):
    """Argo CD with `ServerSideApply=true`, which forces."""

    words = ("--field-manager=argocd-controller", "--server-side", "--force-conflicts")
