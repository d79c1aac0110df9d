"""`explain`: what the operator thinks of a Deployment, and why; asks the same `decide` that the operator asks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from grpctracing.controllers import payload
from grpctracing.controllers.inherited import Inherited
from grpctracing.controllers.memory import records
from grpctracing.controllers.world import Unreadable, parse
from grpctracing.injection import Seen, decide
from grpctracing.injection.records import recorded, records_name
from grpctracing.injection.select import select
from grpctracing.kube import config, errors
from grpctracing.kube.apply import find
from grpctracing.kube.client import Client
from grpctracing.kube.resources import CONFIG_MAPS, DEPLOYMENTS, GRPC_TRACINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.injection import Verdict
    from grpctracing.injection.findings import Finding
    from grpctracing.kube.resources import JSON
    from grpctracing.settings import Settings


async def explain(settings: Settings, environ: Mapping[str, str], deployment: tuple[str, str]) -> int:
    """Print the verdict on a Deployment; return 0, or 1 when there is no such Deployment or it can't be judged."""
    client = Client(await config.load(environ), rate=settings.requests_per_second)
    namespace, name = deployment
    try:
        live = await client.get(DEPLOYMENTS, namespace, name)
        objects = await client.list(GRPC_TRACINGS, namespace)
        tracings = [parse(obj) for obj in objects]
        inherited = await Inherited(client).of(live)
        probed = await known(client, live, select(live, tracings).tracing)
    except (errors.NotFound, Unreadable) as error:
        sys.stderr.write(f"grpctracing: {error}\n")
        return 1
    finally:
        await client.close()
    tracing = select(live, [t for t in tracings if t.metadata.deletion_timestamp is None]).tracing
    reverted = next(
        (records(obj) for obj in objects if tracing and obj["metadata"]["name"] == tracing.metadata.name), {}
    )
    bootstrap = payload.digest(payload.load(settings.payload_dir)) if reverted else ""
    seen = Seen(live, tracings, inherited=inherited, reverted=reverted, payload=bootstrap, probed=probed)
    sys.stdout.write(text(f"{namespace}/{name}", decide(seen)))
    return 0


async def known(client: Client, deployment: JSON, tracing: GrpcTracing | None) -> dict[str, Finding | None] | None:
    """Return what the operator's preflight pods have found in the Deployment's images; nothing is probed for an answer."""
    if tracing is None or tracing.spec.preflight != "Auto":
        return None
    kept = await find(client, CONFIG_MAPS, tracing.metadata.namespace, records_name(tracing.metadata.name))
    return recorded(kept, deployment)


def text(workload: str, verdict: Verdict) -> str:
    """Return the verdict for a terminal. What only the running operator knows (spans, fights) is not in it."""
    lines = [
        f"Deployment  {workload}",
        f"GrpcTracing {verdict.tracing or '-'}",
        f"State       {verdict.state.value} ({verdict.reason.value})",
        f"Action      {verdict.action.value}",
    ]
    if verdict.message:
        lines.append(f"Because     {verdict.message}")
    if verdict.containers:
        lines += [f"Service     {verdict.service}", f"Containers  {', '.join(verdict.containers)}"]
    if verdict.others:
        lines.append(f"Also match  {', '.join(verdict.others)} (they stand back)")
    if verdict.patch is not None:
        lines += ["", "Patch:", json.dumps(verdict.patch["spec"], indent=2)]
    return "\n".join(lines) + "\n"
