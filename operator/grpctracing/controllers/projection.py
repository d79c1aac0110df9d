"""What of a workload is kept in memory: all that a decision looks at, and little else.

`managedFields` is about half of a Deployment, and of it only the owners of environment variables matter here, and when we
wrote last. The test beside this module holds it to one promise: a decision on the projection is the decision on the whole.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from grpctracing.controllers.ownership import is_own
from grpctracing.injection import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.kube.resources import JSON

UNREAD: Final = frozenset({"volumeClaimTemplates"})
TO_CONTAINERS: Final = ("f:spec", "f:template", "f:spec", "f:containers")


def project(deployment: JSON) -> JSON:
    """Return the part of a workload that is worth keeping; our own (the Collector's) are compared whole, so kept whole."""
    if is_own(deployment):
        return deployment
    metadata = deployment["metadata"]
    books = [entry for record in metadata.get("managedFields") or () if (entry := owners(record)) is not None]
    spec = {field: value for field, value in deployment["spec"].items() if field not in UNREAD}
    return {**deployment, "metadata": {**metadata, "managedFields": books}, "spec": spec}


def share(config_map: JSON) -> JSON:
    """Return a ConfigMap whose texts are kept once, however many have them: each namespace has a copy of the whole bootstrap."""
    data = {sys.intern(name): sys.intern(text) for name, text in (config_map.get("data") or {}).items()}
    return {**config_map, "data": data} if data else config_map


def owners(record: Mapping[str, Any]) -> JSON | None:
    """Return a record of `managedFields` reduced to environment variables, or None when it is about something else."""
    if record.get("subresource"):
        return None
    node: Any = record.get("fieldsV1") or {}
    for step in TO_CONTAINERS:
        node = node.get(step) or {}
    kept: Any = {name: {"f:env": fields["f:env"]} for name, fields in node.items() if "f:env" in fields}
    for step in reversed(TO_CONTAINERS):
        kept = {step: kept}
    told = (
        ("manager", "operation", "time") if record.get("manager") == names.FIELD_MANAGER else ("manager", "operation")
    )
    return {key: record[key] for key in told if key in record} | {"fieldsV1": kept}
