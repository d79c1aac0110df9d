"""What a GrpcTracing owns: the ConfigMap with the bootstrap, and its Collector. Made, restored, removed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grpctracing.collector import NAME, manifests
from grpctracing.controllers.board import Facts
from grpctracing.injection import bootstrap_config_map, records_config_map
from grpctracing.injection.rollout import Rollout, progress, rollout
from grpctracing.kube.apply import NameTaken, ensure, is_owned
from grpctracing.kube.resources import BY_KIND, DEPLOYMENTS, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.controllers.world import World
    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

RENAME: Final = "Remove or rename it, or give the GrpcTracing another name; nothing is injected meanwhile."
EXTERNAL: Final = "Remove or rename it, or set spec.collector.mode to External and send spans to a Collector of yours."


@dataclass(slots=True)
class OwnedObjects:
    """Keeps the owned objects of GrpcTracings as they should be; nothing is sent while they are."""

    client: Client
    world: World
    payload: Mapping[str, str]
    image: str

    async def ensure(self, tracing: GrpcTracing) -> Facts:
        """Bring everything that *tracing* owns to what it should be; return how it stands. Raises ApiError.

        With `Plan` nothing is made, changed or removed: settings.json would reach running pods.
        """
        if tracing.spec.rollout.mode == "Plan":
            return self._standing(tracing, None, None)
        trouble = await self._apply([bootstrap_config_map(tracing, self.payload)], RENAME)
        wanted = manifests(tracing, self.image)
        taken = await self._apply(wanted, EXTERNAL)
        kept = [bootstrap_config_map(tracing, {}), records_config_map(tracing, {})]
        await self._remove_others(tracing, [*kept, *wanted])
        return self._standing(tracing, trouble, taken)

    def _standing(self, tracing: GrpcTracing, trouble: tuple[str, str] | None, taken: tuple[str, str] | None) -> Facts:
        """Return how the Collector stands; *trouble* and *taken* (reason, message) are what keeps our objects from being made."""
        if tracing.spec.collector.mode != "Managed":
            external = tracing.spec.collector.external
            endpoint = external.endpoint if external else ""
            message = f"Spans go to {endpoint}; nobody here looks whether they arrive."
            return Facts(None, ("External", message), trouble)
        if taken is not None:
            return Facts(False, taken, trouble)  # noqa: FBT003 - the condition's status
        there = self.world.deployments.get(Key(tracing.metadata.namespace, NAME)) is not None
        if tracing.spec.rollout.mode == "Plan" and not there:
            return Facts(None, ("Planned", "The Collector would be created; spec.rollout.mode is Plan."), trouble)
        ready, reason = self._collector(tracing)
        return Facts(ready, reason, trouble)

    async def remove(self, key: Key) -> bool:
        """Delete everything that was made for a GrpcTracing; tell whether nothing of it is left in the caches."""
        owned = list(self.world.owned_by(key))
        for obj in owned:
            if not obj["metadata"].get("deletionTimestamp"):
                await self._delete(obj)
        return not owned

    async def _apply(self, wanted: list[JSON], way_out: str) -> tuple[str, str] | None:
        """Apply in order; return (reason, message) when a name is taken, else None. *way_out* says what the user can do.

        A taken name stops the rest: half a Collector under somebody else's name serves nobody.
        """
        for desired in wanted:
            try:
                written = await ensure(self.client, desired, self.world.live(desired))
            except NameTaken as taken:
                return "NameTaken", f"{taken}, so it is left alone. {way_out}"
            if written is not None:
                self.world.owned.get(desired["kind"], self.world.deployments).put(written)
                log.info("applied", extra={"kind": desired["kind"], "object": str(key_of(desired))})
        return None

    async def _remove_others(self, tracing: GrpcTracing, wanted: list[JSON]) -> None:
        """Delete what was made for *tracing* and is wanted no more (its collector is now External, or has one replica)."""
        names = {(desired["kind"], desired["metadata"]["name"]) for desired in wanted}
        key = Key(tracing.metadata.namespace, tracing.metadata.name)
        for obj in list(self.world.owned_by(key)):
            ours = is_owned(obj, {"metadata": {"ownerReferences": [tracing.owner_reference]}})
            if (
                ours
                and (obj["kind"], obj["metadata"]["name"]) not in names
                and not obj["metadata"].get("deletionTimestamp")
            ):
                await self._delete(obj)

    async def _delete(self, obj: JSON) -> None:
        await self.client.delete(BY_KIND[obj["kind"]], obj)
        log.info("deleted", extra={"kind": obj["kind"], "object": str(key_of(obj))})

    def _collector(self, tracing: GrpcTracing) -> tuple[bool, tuple[str, str]]:
        deployment = self.world.deployments.get(Key(tracing.metadata.namespace, NAME))
        if deployment is None:
            return False, ("Creating", "The Collector is being created.")
        state = rollout(deployment)
        if state is Rollout.COMPLETE:
            return True, ("Available", "The Collector is available.")
        # During a rollout the old pods go on serving: what counts is whether any is there.
        if deployment.get("status", {}).get("availableReplicas", 0) > 0:
            return True, ("Updating", f"The Collector serves and is being updated: {progress(deployment)}.")
        reason = "Stuck" if state is Rollout.STUCK else "Starting"
        see = f"kubectl describe {DEPLOYMENTS.plural} {NAME} -n {tracing.metadata.namespace}"
        return False, (reason, f"No Collector is available: {progress(deployment)}. See `{see}`.")
