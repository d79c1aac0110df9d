"""Who leads: the decision over a Lease, without clock and I/O.

Nothing is concluded from a time that somebody else wrote, since the clocks of two nodes may be minutes apart. A holder
lives while its record keeps changing, and how long it has not changed is told by our own monotonic clock, as in client-go
(tools/leaderelection). The Lease binds both sides: its holder stops writing `deadline` seconds after the last renewal that
succeeded, the others wait `lease` seconds after the last one that they saw. What lies between covers clocks that run at
different speeds and the way of a write that had just begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from grpctracing.kube.resources import JSON


class Step(StrEnum):
    """What to do about the Lease now."""

    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Times:
    """All times of an election, in seconds, from the one that is set: for how long a holder is believed in."""

    lease: int

    @property
    def deadline(self) -> float:
        """Return how long after its last renewal a holder may write."""
        return self.lease * 0.7

    @property
    def renew(self) -> float:
        """Return the time between two renewals."""
        return self.lease * 0.2

    @property
    def retry(self) -> float:
        """Return the pause after a failure."""
        return self.lease * 0.05

    @property
    def attempt(self) -> float:
        """Return how long one attempt may take: a request that hangs leaves time for another."""
        return self.deadline / 2


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says. *holder* is empty where nobody holds it; *renewed* is text: it is compared, never believed."""

    holder: str = ""
    seconds: int = 0
    transitions: int = 0
    acquired: str = ""
    renewed: str = ""

    @classmethod
    def of(cls, lease: JSON) -> Record:
        """Return the record of a Lease; what is not there is empty."""
        spec: dict[str, Any] = lease.get("spec") or {}
        return cls(
            spec.get("holderIdentity") or "",
            spec.get("leaseDurationSeconds") or 0,
            spec.get("leaseTransitions") or 0,
            spec.get("acquireTime") or "",
            spec.get("renewTime") or "",
        )


@dataclass(frozen=True, slots=True)
class Sighting:
    """A record, and since when (our monotonic clock) it has not changed."""

    record: Record
    since: float


def look(before: Sighting | None, record: Record, now: float) -> Sighting:
    """Return what is known after *record* was read at *now*."""
    return before if before is not None and before.record == record else Sighting(record, now)


def elect(seen: Sighting | None, me: str, now: float, lease: int) -> Step:
    """Decide; None means that there has never been a Lease as far as we know.

    A Lease that was deleted is believed in for as long as it was promised: its holder does not know yet.
    """
    if seen is None or not seen.record.holder:
        return Step.TAKE
    if seen.record.holder == me:
        return Step.RENEW
    return Step.TAKE if now >= expiry(seen, lease) else Step.WAIT


def expiry(seen: Sighting, lease: int) -> float:
    """Return when its holder is no longer believed in: after what it promised or what we would, whichever is longer."""
    return seen.since + max(seen.record.seconds, lease)


def claim(record: Record | None, me: str, lease: int, now: datetime) -> JSON:
    """Return the `spec` with which *me* takes or renews; *now* is the wall clock, for people to read."""
    stamp = micro_time(now)
    mine = record is not None and record.holder == me
    return {
        "holderIdentity": me,
        "leaseDurationSeconds": lease,
        "acquireTime": record.acquired if record is not None and mine else stamp,
        "renewTime": stamp,
        "leaseTransitions": record.transitions + (not mine) if record is not None else 0,
    }


def resignation(now: datetime) -> JSON:
    """Return the `spec` fields with which a holder gives the Lease back: nobody has to wait."""
    return {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(now)}


def micro_time(now: datetime) -> str:
    """Return a `metav1.MicroTime` of a UTC time: always six digits, which the API server insists on."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
