"""Which of our variables a container gets, as data: each with the user's names that keep it out or let it in.

One definition for both strategies: `plan` asks it about a container that it sees, `policy` writes it down as CEL for
containers that only the API server will see. Some names belong together, and a user who sets one has decided about the
others: a sampler and its argument, an endpoint and the protocol and credentials for it (sending a Secret to somebody
else's endpoint would be a leak).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grpctracing.injection import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

Entry = dict[str, Any]

# The user set the first: the others are not written.
FOLLOWERS = {
    names.SAMPLER: (names.SAMPLER_ARG,),
    names.ENDPOINT: (names.PROTOCOL, names.HEADERS),
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": (names.PROTOCOL, names.HEADERS),
}
# Where the user sends another signal elsewhere, our credentials must go with traces only.
OTHER_SIGNALS = frozenset({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"})
# Named in the user's resource attributes, the service is theirs to name.
SERVICE_ATTRIBUTE = "service.name"


@dataclass(frozen=True, slots=True)
class Offer:
    """One env entry, and which containers get it.

    None whose user sets a name of *unless*; where *given* is not empty, only those whose user sets a name of it;
    *nameless*: none whose user's resource attributes name the service.
    """

    entry: Entry
    unless: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    nameless: bool = False

    def holds(self, taken: AbstractSet[str], user: Mapping[str, Entry]) -> bool:
        """Tell whether a container gets it: *taken* are all names of the user's, *user* the entries that are seen."""
        if self.nameless and SERVICE_ATTRIBUTE in str(user.get(names.RESOURCE, {}).get("value", "")):
            return False  # ours would win over the user's: the variable has precedence over the attribute
        return not self.unless & taken and (not self.given or bool(self.given & taken))


def offers(entries: Sequence[Entry]) -> Iterator[Offer]:
    """Yield what becomes of *entries* (of `environment`) in writing order; PYTHONPATH is not among them."""
    for entry in entries:
        name = entry["name"]
        own = frozenset({name} | {leader for leader, followers in FOLLOWERS.items() if name in followers})
        if name == names.RESOURCE:
            yield Offer(entry, own)
            # The payload merges both, the user's keys first.
            yield Offer(entry | {"name": names.OWN_RESOURCE}, given=own)
        elif name == names.HEADERS:
            yield Offer(entry, own | OTHER_SIGNALS)
            yield Offer(entry | {"name": names.TRACES_HEADERS}, own | {names.TRACES_HEADERS}, given=OTHER_SIGNALS)
        else:
            yield Offer(entry, own, nameless=name == names.SERVICE)


# What the user has set is not changed by settings.json either. Only for containers with the bootstrap.
PINS = (
    Offer({"name": names.PINNED, "value": f"{names.SAMPLER},{names.SAMPLER_ARG}"}, given=frozenset({names.SAMPLER})),
    Offer(
        {"name": names.PINNED, "value": names.SAMPLER_ARG},
        frozenset({names.SAMPLER}),
        given=frozenset({names.SAMPLER_ARG}),
    ),
)
