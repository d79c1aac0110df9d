"""Proof of trace: which workloads the managed Collector has received spans from, since their pods are the present ones.

The Collector counts spans by workload and pod. The name of a Deployment's pod begins with that of its ReplicaSet, and the Deployment's
condition `Progressing` names the newest one: only its spans prove the present template, not those that old pods still send
on their way out. A ReplicaSet that was there before (a rollback) has to count on after the rollout is complete. The names of
other pods tell nothing of their template: each that sends spans is looked at once, by its uid. Once seen, a template stays
seen: a quiet night is no loss of tracing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from grpctracing.collector import NAME
from grpctracing.controllers.scrape import parse, series
from grpctracing.injection import State
from grpctracing.injection.kinds import REPLICA_SET, kind_of
from grpctracing.injection.revisions import is_of, newest
from grpctracing.injection.rollout import Rollout, observed, rollout
from grpctracing.kube import errors
from grpctracing.kube.apply import find
from grpctracing.kube.resources import PODS, SERVICES, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpctracing.controllers.pods import Pods
    from grpctracing.controllers.scrape import Counts
    from grpctracing.controllers.world import World
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

NEWEST: Final = re.compile(r'[Rr]eplica ?[Ss]et "([^"]+)"')
TIMEOUT: Final = aiohttp.ClientTimeout(total=5)
AT_ONCE: Final = 16
POD_PREFIX: Final = 58
"""Characters of a pod's name that come from its ReplicaSet and the dash behind it (k8s.io/apiserver, names.generate)."""

POD_NAME: Final = re.compile(r"[a-z0-9][-.a-z0-9]{0,252}")
PODS_AT_ONCE: Final = 5
"""Pods of one workload that are asked about after one scrape."""


@dataclass(slots=True)
class Track:
    """What is known of one workload: its *template*, what the counts were when that came, and whether it was seen.

    *others* are pods that are of another template.
    """

    template: str
    before: Counts
    proved: bool = False
    others: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Proof:
    """Scrapes the Collectors every *interval* seconds (0: never) and calls *changed* for each newly proved workload."""

    world: World
    url: str
    interval: float
    changed: Callable[[Key], None]
    pods: Pods
    _tracks: dict[Key, Track] = field(default_factory=dict)
    _latest: dict[Key, Counts] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _heard: dict[str, float | None] = field(default_factory=dict)
    """Namespace → since when its Collector answers; None where it does not."""

    def seen(self, key: Key, deployment: JSON) -> bool | None:
        """Tell whether spans came from the Deployment's present pod template; None where nobody looks."""
        if not self.interval:
            return None
        template = digest(deployment)
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = Track(template, {}, remembered(self.world, key, deployment))
        elif track.template != template:
            track = self._tracks[key] = Track(template, dict(self._latest.get(key, {})))
        return track.proved

    def heard_for(self, namespace: str) -> float | None:
        """Return for how long (s) the namespace's Collector has been answering; None where it does not, or has not been asked."""
        since = self._heard.get(namespace)
        return None if since is None else self.clock() - since

    def forget(self, key: Key) -> None:
        """Drop a workload that is gone."""
        self._tracks.pop(key, None)
        self._latest.pop(key, None)

    async def run(self) -> None:
        """Scrape until cancelled."""
        if not self.interval:
            return
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            gate = asyncio.Semaphore(AT_ONCE)

            async def look(namespace: str) -> None:
                async with gate:
                    if (text := await self._scrape(session, namespace)) is not None:
                        for key in self.absorb(namespace, text):
                            await self.look_at_pods(key)

            while True:
                there = self._namespaces()
                self._heard = {namespace: since for namespace, since in self._heard.items() if namespace in there}
                await asyncio.gather(*(look(namespace) for namespace in there))
                await asyncio.sleep(self.interval)

    def absorb(self, namespace: str, text: str) -> list[Key]:
        """Take over one scrape (Prometheus text); return the workloads of which pods have to be looked at."""
        ask = []
        for (kind, name), counts in parse(text).items():
            key = key_of({"kind": kind, "metadata": {"namespace": namespace, "name": name}})
            deployment = self.world.of(key).get(key)
            if deployment is None:
                continue  # whoever sends spans names the workload: what does not exist is not remembered
            self._latest[key] = counts
            track = self._tracks.get(key)
            if track is None or track.proved:
                continue
            if kind_of(deployment).keeps != REPLICA_SET:
                track.others &= counts.keys()
                ask += [key] if counts.keys() - track.others and observed(deployment) else []
                continue
            complete = rollout(deployment) is Rollout.COMPLETE
            newest = newest_replica_set(deployment)
            for replica_set, value in counts.items():
                old = track.before.get(replica_set)
                present = newest is None or (complete and replica_set == newest)
                if present and (old is None or (complete and value > old)):
                    track.proved = True
                elif old is not None and (not complete or value < old):
                    # Spans of pods that still go, or a Collector that began anew.
                    track.before[replica_set] = value
            if track.proved:
                self.changed(key)
        return ask

    async def look_at_pods(self, key: Key) -> None:
        """Find out whether a pod that sends spans is of the present template; raises nothing."""
        workload, track = self.world.of(key).get(key), self._tracks.get(key)
        if workload is None or track is None:
            return
        try:
            present = newest(workload, await self.pods.revisions(workload))
            for counted in sorted(self._latest[key].keys() - track.others)[:PODS_AT_ONCE]:
                pod = await self._pod(key.namespace, counted)
                if pod is None or present is None or not is_of(pod, workload, present):
                    track.others.add(counted)
                elif track is self._tracks.get(key):  # else the template has changed meanwhile
                    track.proved = True
                    self.changed(key)
                    return
        except errors.ApiError as error:
            log.warning("pods not seen", extra={"workload": str(key), "error": str(error)})

    async def _pod(self, namespace: str, counted: str) -> JSON | None:
        name, _, uid = counted.partition("/")
        if not POD_NAME.fullmatch(name):
            return None  # whoever sends spans writes it, and it becomes part of a path
        pod = await find(self.pods.client, PODS, namespace, name)
        return pod if pod is not None and pod["metadata"]["uid"] == uid else None

    def _namespaces(self) -> list[str]:
        """Return where the Service is ours: what somebody else calls by its name is no proof, and not asked."""
        return sorted(key.namespace for key in self.world.owned[SERVICES.kind] if key.name == NAME)

    async def _scrape(self, session: aiohttp.ClientSession, namespace: str) -> str | None:
        try:
            async with session.get(self.url.format(namespace=namespace), allow_redirects=False) as response:
                response.raise_for_status()
                text = await series(response.content)
        except (aiohttp.ClientError, HttpProcessingError, OSError, ValueError) as error:
            if (
                self._heard.get(namespace, 0.0) is not None
            ):  # once: a Collector that starts is no news every ten seconds
                log.info("no proof of traces yet", extra={"namespace": namespace, "error": str(error)})
                self._turned(namespace, None)
            return None
        if self._heard.get(namespace) is None:
            self._turned(namespace, self.clock())
        return text

    def _turned(self, namespace: str, since: float | None) -> None:
        """Note that a Collector answers now, or no longer, and have those looked at that wait for its word."""
        self._heard[namespace] = since
        for key, track in self._tracks.items():
            if key.namespace == namespace and not track.proved:
                self.changed(key)


def newest_replica_set(deployment: JSON) -> str | None:
    """Return the present ReplicaSet as pods' names tell it, once its rollout has begun; None where nothing names it.

    Kubernetes keeps no such condition for a Deployment without a progress deadline.
    """
    for condition in deployment.get("status", {}).get("conditions") or ():
        if condition["type"] == "Progressing" and (found := NEWEST.search(condition.get("message", ""))):
            return f"{found[1]}-"[:POD_PREFIX].rpartition("-")[0]
    return None


def digest(deployment: JSON) -> str:
    """Return what identifies a pod template."""
    template = deployment["spec"]["template"]
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()


def remembered(world: World, key: Key, deployment: JSON) -> bool:
    """Tell whether a status, written before this process began, says that the present pods have been seen.

    It does when the workload was called Instrumented after its last rollout had ended (RFC 3339 times sort as text). Only
    Deployments keep the time of that; of others, what the Collector still counts is looked at anew.
    """
    if kind_of(deployment).keeps != REPLICA_SET:
        return False
    conditions = deployment.get("status", {}).get("conditions") or ()
    rolled_out = max((c.get("lastUpdateTime", "") for c in conditions if c["type"] == "Progressing"), default="")
    return any(
        entry["name"] == key.name
        and entry.get("kind", "Deployment") == "Deployment"
        and entry["state"] == State.INSTRUMENTED.value
        and (entry.get("lastTransitionTime") or "") >= rolled_out
        for tracing in world.tracings.in_namespace(key.namespace)
        for entry in (tracing.get("status") or {}).get("workloads") or ()
    )
