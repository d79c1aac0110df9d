"""Names that containers take from ConfigMaps by `envFrom`: they are the user's, and one of ours would hide them.

A hidden PYTHONPATH would keep an application from finding its own code. Secrets stay unread: the operator has no right to
look into them, so a name that comes from one is not known here (docs/security.md says so).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grpctracing.injection.names import PYTHONPATH
from grpctracing.kube.apply import find
from grpctracing.kube.resources import CONFIG_MAPS, Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import JSON

FRESH: Final = 60.0
"""Seconds for which the names in a ConfigMap are believed: a rollout asks many times."""


@dataclass(slots=True)
class Inherited:
    """Reads ConfigMaps that are not ours, one by one and only those that a container refers to."""

    client: Client
    clock: Callable[[], float] = time.monotonic
    _known: dict[Key, tuple[float, frozenset[str]]] = field(default_factory=dict)

    async def of(self, deployment: JSON) -> dict[str, frozenset[str]]:
        """Return, per container, the names that matter to injection; raises ApiError where they can't be read."""
        namespace = deployment["metadata"]["namespace"]
        found: dict[str, frozenset[str]] = {}
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            for source in container.get("envFrom") or ():
                if reference := source.get("configMapRef"):
                    keys = await self._keys(Key(namespace, reference["name"]))
                    theirs = {name for key in keys if matters(name := f"{source.get('prefix') or ''}{key}")}
                    found[container["name"]] = found.get(container["name"], frozenset()) | theirs
        return found

    async def _keys(self, key: Key) -> frozenset[str]:
        now = self.clock()
        self._known = {known: entry for known, entry in self._known.items() if now - entry[0] < FRESH}
        if key not in self._known:
            live = await find(self.client, CONFIG_MAPS, key.namespace, key.name)
            self._known[key] = (now, frozenset((live or {}).get("data") or ()))
        return self._known[key][1]


def matters(name: str) -> bool:
    """Tell whether injection could hide a variable of this name."""
    return name == PYTHONPATH or name.startswith("OTEL_")
