"""Operators that are at work: those that hold their Lease and go on renewing it.

For a newcomer each Lease counts that exists (`neighbours`). Who takes the injection out only has to know whether somebody would put
it in again, and what a dead operator has left must not keep it from that. As in an election, what tells is whether the record changes.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from grpctracing.kube.election import Record, Sighting, expiry, look
from grpctracing.kube.neighbours import Claim, leases
from grpctracing.kube.resources import Key

if TYPE_CHECKING:
    from grpctracing.kube.client import Client

NOBODY: Final = Key("", "")
"""The Lease of who works by hand."""
PAUSE: Final = 0.5
"""Seconds between two looks."""


async def at_work(client: Client, own: Claim) -> list[Claim]:
    """Return the claims of other operators that are at work where *own* (its Lease, if it has one) may be, too.

    Takes until the next renewal, a few seconds, and as long as a holder's Lease runs where there is none. An own operator may
    have rights in its namespaces alone, so only these are looked at; where that is refused, nobody is seen. Raises ApiError.
    """
    bound = own.lease != NOBODY and own.namespaces
    where = {*own.namespaces, own.lease.namespace} if bound else {None}
    seen: dict[Key, Sighting] = {}
    working: dict[Key, Claim] = {}
    while True:
        now, doubtful = time.monotonic(), False
        for lease in await leases(client, where):
            claim, record = Claim.of(lease), Record.of(lease)
            if claim is None or claim.lease == own.lease or own.overlaps(claim) is None or not record.holder:
                continue
            before = seen.get(claim.lease)
            sighting = seen[claim.lease] = look(before, record, now)
            if before is not None and sighting is not before:
                working[claim.lease] = claim
            doubtful |= claim.lease not in working and now < expiry(sighting, 0)
        if not doubtful:
            return list(working.values())
        await asyncio.sleep(PAUSE)


def way_out(own: Claim, claim: Claim) -> str:
    """Return what to do where the operator of *claim* is at work, as a sentence for the user; its Deployment has the same name."""
    shared = own.namespaces & claim.namespaces or own.namespaces or claim.namespaces
    scope = f"-n {''.join(shared)}" if len(shared) == 1 else "-n NAMESPACE" if shared or claim.selector else "-A"
    return (
        f"an operator works there (it renews Lease {claim.lease}) and would inject again. It takes its injection out itself when you "
        f"delete the objects (kubectl delete gtr --all {scope}), or from one workload when you annotate that "
        f"grpctracing.dev/inject=false. To do without it, stop it and run this again: "
        f"kubectl scale deployment {claim.lease.name} -n {claim.lease.namespace} --replicas=0"
    )
