"""How an object tells that it is ours, and whose it is among ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpctracing.injection import names
from grpctracing.kube.resources import GRPC_TRACINGS, Key

if TYPE_CHECKING:
    from grpctracing.kube.resources import JSON


def is_own(obj: JSON) -> bool:
    """Tell whether an object carries our label."""
    return (obj["metadata"].get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.FIELD_MANAGER


def controllers(obj: JSON) -> list[str]:
    """Return the uids of the GrpcTracings that an object belongs to by its owner references."""
    return [
        owner["uid"] for owner in obj["metadata"].get("ownerReferences") or () if owner["kind"] == GRPC_TRACINGS.kind
    ]


def owner_of(obj: JSON) -> Key:
    """Return the key of the GrpcTracing that an object of ours was made for."""
    return Key(obj["metadata"]["namespace"], obj["metadata"]["labels"].get(names.TRACING_LABEL, ""))
