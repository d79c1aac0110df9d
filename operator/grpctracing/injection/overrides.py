"""What a user is told of the variables that they set themselves, which win over ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from grpctracing.injection import names

if TYPE_CHECKING:
    from grpctracing.injection.plan import Plan

DESTINATION: Final = frozenset({names.ENDPOINT, "OTEL_TRACES_EXPORTER"})
"""Names whose value may be why no span arrives here."""


def hint(wanted: Plan) -> str:
    """Return what may keep spans from arriving here, as far as the workload tells."""
    for container in wanted.containers:
        kept = sorted(DESTINATION & set(container.kept))
        if kept:
            return f' Container "{container.name}" sets {" and ".join(kept)} itself, which is kept: its spans may go elsewhere.'
    return ""


def overrides(wanted: Plan) -> str:
    """Return which names of ours are not written because the workload or its image sets them; "" where there are none."""
    kept = "; ".join(f"{item.name}: {', '.join(item.kept)}" for item in wanted.containers if item.kept)
    return f"Kept as you set them, also where spec says otherwise: {kept}." if kept else ""
