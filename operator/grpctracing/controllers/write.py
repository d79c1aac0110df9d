"""The one place that writes to a user's workload: look, think, patch; when somebody else was faster, look again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grpctracing import telemetry
from grpctracing.injection import Action
from grpctracing.kube import errors
from grpctracing.kube.apply import find
from grpctracing.kube.client import STRATEGIC
from grpctracing.kube.resources import BY_KIND, key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from grpctracing.injection import Verdict
    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

ATTEMPTS: Final = 8
"""The controller-manager's status updates bump the version all through a rollout: a conflict is no fault."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the verdict carried out, and the workload as it is now (None: gone)."""

    verdict: Verdict
    deployment: JSON | None
    written: bool = False


async def settle(
    client: Client,
    deployment: JSON,
    think: Callable[[JSON], Verdict],
    before: Callable[[Verdict], Awaitable[bool]] | None = None,
) -> Outcome:
    """Carry out what *think* says of *deployment*, and of its newer versions while it keeps changing under our hands.

    At most one patch is accepted; *before* is awaited ahead of each, and answers whether there is something new to think
    about. Raises ApiError where the server refuses for a reason other than a race.
    """
    metadata = deployment["metadata"]
    resource = BY_KIND[deployment["kind"]]
    for _ in range(ATTEMPTS):
        verdict = think(deployment)
        if verdict.action not in {Action.INJECT, Action.REVERT} or verdict.patch is None:
            return Outcome(verdict, deployment)
        if before is not None and await before(verdict):
            continue
        try:
            written = await client.patch(
                resource, metadata["namespace"], metadata["name"], verdict.patch, kind=STRATEGIC
            )
        except (errors.Conflict, errors.Invalid, errors.NotFound):
            # 409: changed; 422: recreated under the same name, or a container is gone; 404: deleted. Or a true refusal.
            newer = await find(client, resource, metadata["namespace"], metadata["name"])
            if newer is None:
                return Outcome(verdict, None)
            if newer["metadata"]["resourceVersion"] == deployment["metadata"]["resourceVersion"]:
                raise
            deployment = newer
            continue
        telemetry.WRITES.labels(verdict.action.value).inc()
        return Outcome(verdict, written, written=True)
    raise errors.Conflict(409, f"{key_of(deployment)} changed {ATTEMPTS} times while being patched")
