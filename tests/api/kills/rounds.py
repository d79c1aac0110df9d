"""What is interrupted: an injection, an opt-out, a change, a deletion, an uninstallation, and a rollout that is taken back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.api.running import deployment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tests.api.running import Place, Rollouts

SERVICES: dict[str, dict[str, str]] = {
    "cart": {},
    "payment": {"LOG_LEVEL": "info", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
    "order": {"PYTHONPATH": "/app"},
    "ledger": {},
    "ledger-eu": {},
}
OPTED_OUT = ("cart", "order")
BROKEN = "broken"
HEALED = "It is healthy without it."
LEFT_ALONE = "quiet"
OPERATOR = "operator"


@dataclass(frozen=True)
class Step:
    """*change* is what a user does; the operator is killed while it follows, until *done* says that it has."""

    name: str
    change: Callable[[Place, Rollouts], Awaitable[None]]
    done: Callable[[Place], Awaitable[Any]]
    words: str = "run"


async def create(place: Place, _: Rollouts) -> None:
    for name, env in SERVICES.items():
        body = deployment(name, env)
        if name.startswith("ledger"):  # one image, two workloads: the second waits for the first
            body["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.invalid/ledger:1"
        await place.create(body)
    await place.workload(LEFT_ALONE, annotations={"grpctracing.dev/inject": "false"})
    await place.create(deployment(OPERATOR, labels={"app.kubernetes.io/name": "grpctracing-operator"}))
    await place.tracing(rollout={"maxConcurrent": 100})


async def created(place: Place) -> bool:
    return await all_are(place.injected, SERVICES) and await reported(place)


async def opt_out(place: Place, _: Rollouts) -> None:
    for name in OPTED_OUT:
        await place.annotate(name, "false")


async def opted_out(place: Place) -> bool:
    return await all_are(place.clean, OPTED_OUT) and await reported(place)


async def change(place: Place, _: Rollouts) -> None:
    env = [{"name": "OTEL_BSP_SCHEDULE_DELAY", "value": "1000"}]
    await place.change("GrpcTracing", "default", {"spec": {"env": env}})


async def changed(place: Place) -> bool:
    names = SERVICES.keys() - set(OPTED_OUT)
    lives = [await place.must("Deployment", name) for name in names]
    return all("OTEL_BSP_SCHEDULE_DELAY" in str(live["spec"]) for live in lives) and await reported(place)


async def delete(place: Place, _: Rollouts) -> None:
    await place.delete("GrpcTracing", "default")


async def deleted(place: Place) -> bool:
    if await place.get("GrpcTracing", "default") is not None:
        return False
    return await all_are(place.clean, await place.names("Deployment"))


async def nothing(_: Place, __: Rollouts) -> None:
    """The command itself is the change."""


async def break_down(place: Place, rollouts: Rollouts) -> None:
    rollouts.crashing.add(BROKEN)
    await place.workload(BROKEN)
    await place.tracing(rollout={"maxConcurrent": 100})


async def taken_back(place: Place) -> bool:
    state = (await place.must("GrpcTracing", "default")).get("status", {})
    remembered = any(record["name"] == BROKEN for record in state.get("reverted", ()))
    over = any(
        HEALED in entry.get("message", "") for entry in state.get("workloads", ())
    )  # told once the way back is rolled out
    return remembered and over and await place.clean(BROKEN) is not None and await reported(place)


async def reported(place: Place) -> bool:
    live = await place.must("GrpcTracing", "default")
    status = live.get("status", {})
    conditions = {item["type"]: item["status"] for item in status.get("conditions", ())}
    busy = any(entry["state"] in {"Pending", "Progressing"} for entry in status.get("workloads", ()))
    told = status.get("observedGeneration") == live["metadata"]["generation"]
    return told and not busy and conditions.get("CollectorReady") == "True" and bool(live["metadata"].get("finalizers"))


async def all_are(what: Callable[[str], Awaitable[Any]], names: Iterable[str]) -> bool:
    return all(await asyncio.gather(*(what(name) for name in names)))


INJECTION = Step("injection", create, created)
OPT_OUT = Step("opt-out", opt_out, opted_out)
CHANGE = Step("change", change, changed)
DELETION = Step("deletion", delete, deleted)
UNINSTALL = Step("uninstall", nothing, nothing, words="uninstall")
TAKEN_BACK = Step("taken back", break_down, taken_back)
ROUNDS: dict[str, tuple[Step, ...]] = {
    "deletion": (INJECTION, OPT_OUT, CHANGE, DELETION),
    "uninstall": (INJECTION, OPT_OUT, UNINSTALL),
    "taken back": (TAKEN_BACK, DELETION),
}
