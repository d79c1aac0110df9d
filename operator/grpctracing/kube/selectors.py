"""Label selectors as text (`team=a,shard in (x, y),!legacy`): parsed, matched, and compared with one another.

The syntax is that of the API's `labelSelector` (apimachinery, labels.Parse) without `<` and `>`. Per label, what a selector asks
for comes down to one `Values`: whether the label may be missing, and which values it may have. So whether any labels could
satisfy two selectors is known exactly: labels are independent of each other, and there is always one more value than were named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
KEY: Final = rf"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{NAME}"
VALUE: Final = rf"(?:{NAME})?"
REQUIREMENT: Final = re.compile(
    rf"\s*(?:!\s*(?P<absent>{KEY})"
    rf"|(?P<key>{KEY})\s*(?:(?P<sign>==?|!=)\s*(?P<value>{VALUE})|\s(?P<word>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,(?=.)|$)"
)
LIST: Final = re.compile(rf"\s*{NAME}\s*(?:,\s*{NAME}\s*)*")
EXAMPLES: Final = '"team=a", "shard in (a, b)", "!shard"'


@dataclass(frozen=True, slots=True)
class Values:
    """What one label may be: missing (*absent*), or one of *values*; with *others*, one that is not among them."""

    absent: bool
    values: frozenset[str] = frozenset()
    others: bool = False

    def __and__(self, more: Values) -> Values:
        """Return what satisfies both."""
        absent = self.absent and more.absent
        if self.others and more.others:
            return Values(absent, self.values | more.values, others=True)
        if self.others:
            return Values(absent, more.values - self.values)
        return Values(absent, self.values - more.values if more.others else self.values & more.values)

    def __bool__(self) -> bool:
        """Tell whether anything satisfies this."""
        return self.absent or self.others or bool(self.values)

    def __contains__(self, value: str | None) -> bool:
        """Tell whether a label of this *value* (None: missing) satisfies this."""
        return self.absent if value is None else (value in self.values) != self.others


@dataclass(frozen=True, slots=True)
class Selector:
    """What is asked of each label, and the *text* that says so."""

    text: str
    labels: tuple[tuple[str, Values], ...]

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Tell whether an object with these *labels* is selected."""
        return all((labels or {}).get(key) in values for key, values in self.labels)

    def disjoint(self, other: Selector) -> bool:
        """Tell whether no labels, of whatever object, can satisfy both."""
        mine = dict(self.labels)
        return any(not mine.get(key, ANYTHING) & values for key, values in other.labels)


ANYTHING: Final = Values(absent=True, others=True)


def parse(text: str) -> Selector:
    """Return the selector that *text* is; raises ValueError with what would do, also where nothing could ever satisfy it."""
    text, position = text.strip(), 0
    found: dict[str, Values] = {}
    while position < len(text):
        match = REQUIREMENT.match(text, position)
        if match is None:
            raise ValueError(f'is not a label selector from "{text[position:].strip()[:60]}" on; write e.g. {EXAMPLES}')
        key, values = requirement(match)
        found[key] = found.get(key, ANYTHING) & values
        position = match.end()
    if not found:
        raise ValueError(f"selects nothing in particular; write e.g. {EXAMPLES}")
    if never := [key for key, values in found.items() if not values]:
        raise ValueError(f"can't be satisfied: what it asks of label {never[0]} contradicts itself")
    return Selector(text, tuple(sorted(found.items())))


def requirement(match: re.Match[str]) -> tuple[str, Values]:
    """Return the label that one requirement is about, and what it asks for; raises ValueError."""
    if match["absent"]:
        return match["absent"], Values(absent=True)
    key = match["key"]
    if match["sign"]:
        values = frozenset({match["value"]})
    elif match["word"]:
        if not LIST.fullmatch(match["values"]):
            raise ValueError(f'lists no label values in "{match[0].strip()}"; write e.g. {EXAMPLES}')
        values = frozenset(value.strip() for value in match["values"].split(","))
    else:
        return key, Values(absent=False, others=True)
    if match["sign"] == "!=" or match["word"] == "notin":
        return key, Values(absent=True, values=values, others=True)
    return key, Values(absent=False, values=values)


def named(key: str, values: Iterable[str]) -> Selector:
    """Return the selector of those whose label *key* is one of *values*."""
    listed = sorted(values)
    return Selector(f"{key} in ({', '.join(listed)})", ((key, Values(absent=False, values=frozenset(listed))),))
