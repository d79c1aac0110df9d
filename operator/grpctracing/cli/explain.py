"""`explain`: what the operator thinks of a workload, and why; asks the same `decide` that the operator asks."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from grpctracing.controllers import payload
from grpctracing.controllers.inherited import Inherited
from grpctracing.controllers.memory import records
from grpctracing.controllers.world import Unreadable, parse
from grpctracing.injection import Action, Reason, Seen, State, Verdict, decide
from grpctracing.injection.admitted import ADMISSION, governing
from grpctracing.injection.kinds import NOT_PATCHED
from grpctracing.injection.records import recorded, records_name
from grpctracing.kube import config, errors
from grpctracing.kube.apply import find
from grpctracing.kube.client import Client
from grpctracing.kube.resources import BY_KIND, CONFIG_MAPS, GRPC_TRACINGS, NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.cli import Target
    from grpctracing.injection.findings import Finding
    from grpctracing.kube.resources import JSON
    from grpctracing.settings import Settings


async def explain(settings: Settings, environ: Mapping[str, str], target: Target) -> int:
    """Print the verdict on a workload; return 0, or 1 when there is no such workload or it can't be judged."""
    kind, namespace, name = target
    if kind in NOT_PATCHED:
        sys.stdout.write(text(target, not_patched(kind)))
        return 0
    client = Client(await config.load(environ), rate=settings.requests_per_second)
    try:
        live = {**await client.get(BY_KIND[kind], namespace, name), "kind": kind}
        strange = await elsewhere(client, settings, namespace)
        objects = await client.list(GRPC_TRACINGS, namespace)
        tracings = [parse(obj) for obj in objects]
        inherited = await Inherited(client).of(live)
        tracing = governing(live, [each for each in tracings if each.metadata.deletion_timestamp is None])
        probed = await known(client, live, tracing)
    except (errors.NotFound, Unreadable) as error:
        sys.stderr.write(f"grpctracing: {error}\n")
        return 1
    finally:
        await client.close()
    reverted = next(
        (records(obj) for obj in objects if tracing and obj["metadata"]["name"] == tracing.metadata.name), {}
    )
    bootstrap = payload.digest(payload.load(settings.payload_dir)) if reverted else ""
    # Whether there is a policy can't be seen with a user's rights; for a plan none is written.
    policy = tracing is None or tracing.spec.rollout.mode != "Plan"
    seen = Seen(
        live,
        tracings,
        inherited=inherited,
        reverted=reverted,
        payload=bootstrap,
        probed=probed,
        policy_in_force=policy,
    )
    sys.stdout.write(text(target, decide(seen), strange))
    return 0


async def elsewhere(client: Client, settings: Settings, namespace: str) -> str:
    """Return why the operator of these settings does not work in a namespace; empty where it does. Raises ApiError."""
    if settings.watch_namespaces and namespace not in settings.watch_namespaces:
        return f"watchNamespaces does not list {namespace}"
    if (selector := settings.namespace_selector) is None:
        return ""
    labels = (await client.get(NAMESPACES, "", namespace))["metadata"].get("labels")
    return (
        ""
        if selector.matches(labels)
        else f'the labels of {namespace} do not match namespaceSelector "{selector.text}"'
    )


async def known(client: Client, deployment: JSON, tracing: GrpcTracing | None) -> dict[str, Finding | None] | None:
    """Return what the operator's preflight pods have found in the workload's images; nothing is probed for an answer."""
    if tracing is None or tracing.spec.preflight != "Auto":
        return None
    kept = await find(client, CONFIG_MAPS, tracing.metadata.namespace, records_name(tracing.metadata.name))
    return recorded(kept, deployment, by_policy=tracing.spec.rollout.strategy == ADMISSION)


def not_patched(kind: str) -> Verdict:
    """Return the answer for a kind that only the admission strategy reaches. It is the same for all, so none is read."""
    message = (
        f"Not patched: {NOT_PATCHED[kind]}. With spec.rollout.strategy Admission its new pods are traced; annotations and "
        "labels count on its pod template."
    )
    return Verdict(Action.NOTHING, State.SKIPPED, Reason.KIND_NOT_PATCHED, message)


def text(target: Target, verdict: Verdict, strange: str = "") -> str:
    """Return the verdict for a terminal. What only the running operator knows (spans, fights) is not in it.

    *strange* is why this operator has nothing to do with it.
    """
    kind, namespace, name = target
    lines = [
        f"{kind:<11} {namespace}/{name}",
        f"GrpcTracing {verdict.tracing or '-'}",
        f"State       {verdict.state.value} ({verdict.reason.value})",
        f"Action      {verdict.action.value}",
    ]
    if strange:
        lines.insert(1, f"Operator    not this one: {strange}; another one would say")
    if verdict.message:
        lines.append(f"Because     {verdict.message}")
    if verdict.containers:
        lines += [f"Service     {verdict.service}", f"Containers  {', '.join(verdict.containers)}"]
    if verdict.others:
        lines.append(f"Also match  {', '.join(verdict.others)} (they stand back)")
    if verdict.patch is not None:
        lines += ["", "Patch:", json.dumps(verdict.patch["spec"], indent=2)]
    return "\n".join(lines) + "\n"
