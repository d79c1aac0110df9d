"""The comparison: an operator of kopf's own handlers on Deployments, as its documentation shows them, with our `decide`.

An index of GrpcTracings and one of Deployments by namespace (how many roll out already is a question about neighbours), and an
event handler that decides and patches. It is ready when each Deployment that a list had has been through the handler.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import kopf
from aiohttp import web

from grpctracing.api import GrpcTracing
from grpctracing.controllers.lifecycle import connection
from grpctracing.injection import Action, Seen, State, decide
from grpctracing.kube import config, errors
from grpctracing.kube.client import STRATEGIC, Client
from grpctracing.kube.resources import DEPLOYMENTS

SEEN: set[tuple[str, str]] = set()
CLIENTS: list[Client] = []
EXPECTED: list[int] = []


@kopf.on.login()
async def login(**_: Any) -> kopf.AiohttpSession:
    """Connect as our own operator does."""
    return await connection(CLIENTS[0].configuration, lambda: True)


@kopf.index("grpctracing.dev", "v1alpha1", "grpctracings")
async def tracings(namespace: str, body: kopf.Body, **_: Any) -> Any:
    """Keep the GrpcTracings by namespace."""
    return {namespace: GrpcTracing.model_validate({key: value for key, value in body.items() if key != "status"})}


@kopf.index("apps", "v1", "deployments")
async def neighbours(namespace: str, name: str, body: kopf.Body, **_: Any) -> Any:
    """Keep, by namespace, which Deployments roll out."""
    return {namespace: (name, body.get("status", {}).get("observedGeneration", 0) < body["metadata"]["generation"])}


@kopf.on.event("apps", "v1", "deployments")
async def deployment(
    namespace: str, name: str, body: kopf.Body, tracings: kopf.Index, neighbours: kopf.Index, **_: Any
) -> None:
    """Decide on a Deployment, and patch it."""
    progressing = sum(rolls for other, rolls in neighbours.get(namespace, ()) if other != name)
    live = {"apiVersion": "apps/v1", "kind": "Deployment", **dict(body)}
    verdict = decide(Seen(live, list(tracings.get(namespace, ())), progressing=progressing))
    if (
        verdict.action in {Action.INJECT, Action.REVERT}
        and verdict.patch is not None
        and verdict.state is not State.PENDING
    ):
        try:
            await CLIENTS[0].patch(DEPLOYMENTS, namespace, name, verdict.patch, kind=STRATEGIC)
        except errors.Conflict:
            return  # the next event has the newer version
    SEEN.add((namespace, name))


async def ready(_: web.Request) -> web.Response:
    """Tell how many Deployments have been seen."""
    there = bool(EXPECTED) and len(SEEN) >= EXPECTED[0]
    return web.Response(status=200 if there else 503, text=f"{len(SEEN)} of {EXPECTED}")


async def main() -> None:
    """Serve readiness, then be an operator until told to stop."""
    client = Client(await config.load(os.environ), rate=1000)
    CLIENTS.append(client)
    app = web.Application()
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ["GRPCTRACING_HTTP_PORT"])).start()
    page = await client.page(DEPLOYMENTS, None, {"limit": "1"})
    EXPECTED.append(len(page["items"]) + page["metadata"].get("remainingItemCount", 0))
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    await kopf.operator(settings=settings, clusterwide=True, standalone=True)


if __name__ == "__main__":
    asyncio.run(main())
