"""What a policy knows of images: what the preflight recorded of them, as far as an expression can hold it.

By the image's name, and by its repository for tags that nobody has looked into yet: the next release of an application is
like the last one, as it is taken to be under `Patch`. Of all else nothing is known, and a policy leaves it alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection import cel
from grpctracing.injection.environment import escape
from grpctracing.injection.findings import parse
from grpctracing.injection.fitness import fit
from grpctracing.injection.records import SETS_PATH, age

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grpctracing.injection.findings import Report

BOOTSTRAP: Final = "bootstrap"
VARIABLES: Final = "variables"
NOTHING: Final = "nothing"
MOST: Final = 60_000
"""Characters of the expression: the API server reads at most 100,000 of one."""
ANY_TAG: Final = ":*"


@dataclass(frozen=True, slots=True)
class Known:
    """What pods of an image get: BOOTSTRAP, VARIABLES or NOTHING. *sets* are names that the image itself sets.

    *path* is its PYTHONPATH; None where a container that set its own was looked into, which hides that of the image.
    """

    gets: str
    path: str | None = ""
    sets: frozenset[str] = frozenset()


def known(config_map: Mapping[str, Any] | None) -> dict[str, Known]:
    """Return image or repository (with ANY_TAG) → what the newest entry of the preflight's ConfigMap says of it.

    An image is left out where its repository says the same. The newest come first, those whose path is unknown last: they
    count for less than an older entry that knows it, and are the first to go where there are too many.
    """
    newest: dict[str, Known] = {}
    entries = ((config_map or {}).get("data") or {}).values()
    for image, each in sorted(seen(sorted(entries, key=age, reverse=True)), key=lambda one: one[1].path is None):
        newest.setdefault(image, each)
    found: dict[str, Known] = {}
    for image, each in newest.items():
        of_all_tags = found.setdefault(repository(image) + ANY_TAG, each)
        if each != of_all_tags:
            found.setdefault(image, each)
    return found


def seen(entries: Iterable[str]) -> Iterator[tuple[str, Known]]:
    """Yield image and what an entry says of it; nothing of an entry that cannot be read."""
    for entry in entries:
        if (report := parse(entry)) is None:
            continue
        data = json.loads(entry)
        # An entry from before this was noted: a path may be that of the container. It is looked into again (`records`).
        own = data.get(SETS_PATH, bool(report.pythonpath))
        if isinstance(image := data.get("image"), str) and image:
            yield image, Known(gets(report), None if own else report.pythonpath, report.variables)


def gets(report: Report) -> str:
    """Return what pods get by what was found in their image."""
    found = fit({"name": ""}, report, insisted=False)
    return BOOTSTRAP if found.bootstrap else VARIABLES if found.variables else NOTHING


def repository(image: str) -> str:
    """Return an image's name without tag and digest."""
    name = image.partition("@")[0]
    at = name.rfind(":")
    return name[:at] if at > name.rfind("/") else name


def literal(images: Mapping[str, Known]) -> str:
    """Return the map as CEL. From the first that does not fit, all are left out, as if nobody had looked into them."""
    entries: list[str] = []
    left = MOST
    for image, each in images.items():
        path = "[]" if each.path is None else cel.strings([escape(each.path)])
        entry = f'{cel.string(image)}: {{"gets": ["{each.gets}"], "path": {path}, "sets": {cel.strings(each.sets)}}}'
        left -= len(entry) + 2
        if left < 0:
            break
        entries.append(entry)
    return "{" + ", ".join(sorted(entries)) + "}"
