"""Other operators of the cluster: two that work in the same namespaces would undo each other, so the later one waits.

Each Lease says where its operator works and since when. It counts for as long as it exists, held or not: an operator that is
being upgraded, or scaled to zero, has not gone. `uninstall` deletes it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from grpctracing.kube import errors, selectors
from grpctracing.kube.apply import OWNED_SELECTOR
from grpctracing.kube.resources import LEASES, Key, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

NAMESPACES: Final = "grpctracing.dev/namespaces"
SELECTOR: Final = "grpctracing.dev/namespace-selector"
SINCE: Final = "grpctracing.dev/since"
ALL: Final = "*"
EVERYWHERE: Final = "all namespaces"
NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""The label by which the API server names each namespace: a list of namespaces is a selector, too."""
APART: Final = (
    "Give the two selectors that no namespace can satisfy both: for one label other values (team=a, team=b), or one that is "
    f"there and one that is not (team, !team); beside watchNamespaces: {NAME_LABEL} notin (…)"
)
PAUSE: Final = 5.0
"""Seconds between two looks while another operator is in the way."""


class Outranked(Exception):  # noqa: N818 - a fact, not a fault of ours
    """Another operator works in the same namespaces and did so first."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Where an operator works and since when, by its own clock: what its Lease says.

    In these *namespaces*, in those that the *selector* (as text) selects, or everywhere.
    """

    lease: Key
    namespaces: frozenset[str]
    since: str
    selector: str = ""

    @classmethod
    def of(cls, lease: JSON) -> Claim | None:
        """Return what a Lease says; None where an earlier release wrote it, which said nothing."""
        notes: dict[str, str] = lease["metadata"].get("annotations") or {}
        if NAMESPACES not in notes:
            return None
        named = frozenset(notes[NAMESPACES].split(",")) - {ALL, ""}
        return cls(key_of(lease), named, notes.get(SINCE, ""), notes.get(SELECTOR, ""))

    @property
    def notes(self) -> dict[str, str]:
        """Return the annotations that say so; to an earlier release, which knows no selectors, they say: everywhere."""
        return {NAMESPACES: ",".join(sorted(self.namespaces)) or ALL, SELECTOR: self.selector, SINCE: self.since}

    @property
    def where(self) -> tuple[frozenset[str], str]:
        """Return what makes two claims the same one."""
        return self.namespaces, self.selector

    def overlaps(self, other: Claim) -> str | None:
        """Return where both may work, in words; None where they certainly never do."""
        if self.selector or other.selector:
            one, two = self.selects, other.selects
            if one is not None and two is not None and one.disjoint(two):
                return None
            return f'namespaces with the labels "{other.selector}"' if other.selector else other.named
        if not self.namespaces or not other.namespaces:
            return (self if self.namespaces else other).named
        return ", ".join(sorted(self.namespaces & other.namespaces)) or None

    @property
    def named(self) -> str:
        """Return the names of its namespaces, in words."""
        return ", ".join(sorted(self.namespaces)) or EVERYWHERE

    @property
    def selects(self) -> selectors.Selector | None:
        """Return the selector of where it works; None for everywhere, as far as is known."""
        if self.namespaces:
            return selectors.named(NAME_LABEL, self.namespaces)
        try:
            return selectors.parse(self.selector) if self.selector else None
        except ValueError:  # a later release's
            return None


def in_the_way(own: Claim, others: list[Claim]) -> str | None:
    """Return why *own* must not be worked on, as a sentence for the user, or None. The one that was there first works."""
    for other in sorted(others, key=rank):
        where = own.overlaps(other)
        if other.lease != own.lease and where is not None and rank(other) < rank(own):
            fix = APART if own.selector or other.selector else "Give each its own watchNamespaces"
            mine = f' This one\'s namespaceSelector is "{own.selector}".' if own.selector else ""
            return (
                f"another operator works in {where} already: the one of Lease {other.lease}.{mine} {fix}, or uninstall "
                f"one. If that one is gone: kubectl delete lease {other.lease.name} -n {other.lease.namespace}"
            )
    return None


def rank(claim: Claim) -> tuple[str, Key]:
    """Return what the earlier claim has less of; RFC 3339 times in UTC sort as text."""
    return claim.since, claim.lease


@dataclass(slots=True)
class Neighbours:
    """Looks for operators other than the one of Lease *own*, which works in *namespaces* (empty: everywhere it *selects*)."""

    client: Client
    own: Key
    namespaces: tuple[str, ...]
    selects: selectors.Selector | None = None
    trouble: str | None = field(default=None, init=False)
    """Who is in the way, or None."""
    claim: Claim = field(init=False)

    def __post_init__(self) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.claim = Claim(self.own, frozenset(self.namespaces), now, self.selects.text if self.selects else "")

    async def give_way(self) -> None:
        """Return when no other operator is in the way, however long that takes."""
        while (trouble := await self._answer()) is not None:
            if trouble != self.trouble:
                log.error("waiting: %s", trouble, extra={"lease": str(self.own)})
            self.trouble = trouble
            await asyncio.sleep(PAUSE * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, keeps no secret
        self.trouble = None

    async def insist(self) -> None:
        """Look once more, now that others can see our own claim; raises Outranked. Of two that began together one stays."""
        if (trouble := await self._answer()) is not None:
            log.error("stopping: %s", trouble, extra={"lease": str(self.own)})
            raise Outranked(trouble)
        self.trouble = None

    async def _answer(self) -> str | None:
        """Look until the API server has answered: what only can't be asked at present is not free."""
        while True:
            try:
                return await self._look()
            except errors.ApiError as error:
                self.trouble = f"can't look for other operators: {error}"
                log.warning("can't look for other operators yet", extra={"error": str(error)})
                await asyncio.sleep(PAUSE * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, keeps no secret

    async def _look(self) -> str | None:
        where = {*self.namespaces, self.own.namespace} if self.namespaces else {None}
        claims = [claim for lease in await leases(self.client, where) if (claim := Claim.of(lease)) is not None]
        before = next((claim for claim in claims if claim.lease == self.own), None)
        if before is not None and before.where == self.claim.where:
            self.claim = before  # a restart, a new release, another replica: no newcomer
        return in_the_way(self.claim, claims)


async def leases(client: Client, namespaces: Iterable[str | None]) -> list[JSON]:
    """Return the Leases of operators in *namespaces* (None: all), as far as they may be seen: those of others take a ClusterRole.

    Raises ApiError where asking again may help.
    """
    found: dict[Key, Any] = {}
    for namespace in namespaces:
        try:
            items = await client.list(LEASES, namespace, selector=OWNED_SELECTOR)
        except errors.ApiError as error:
            if not error.is_refusal:
                raise
            log.warning("can't look for other operators", extra={"namespace": namespace or "*", "error": str(error)})
            continue
        found |= {key_of(lease): lease for lease in items}
    return list(found.values())
