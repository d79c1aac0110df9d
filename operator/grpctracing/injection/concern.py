"""Whether a workload is of any interest where its namespace has no GrpcTracing. Most of a large cluster's are not.

The answer errs to one side: what it calls `untouched`, `decide` has nothing to do with and nothing to say about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpctracing.injection import names
from grpctracing.injection.ledger import is_prefixed
from grpctracing.injection.select import annotation

if TYPE_CHECKING:
    from collections.abc import Mapping


def untouched(workload: Mapping[str, Any]) -> bool:
    """Tell cheaply whether a workload asks for nothing (no annotation) and carries nothing that may be ours (`ledger.owned`)."""
    if annotation(workload, names.INJECT) is not None:
        return False
    if any(record.get("manager") == names.FIELD_MANAGER for record in workload["metadata"].get("managedFields") or ()):
        return False
    pod = workload["spec"]["template"]["spec"]
    if any(volume["name"] == names.VOLUME for volume in pod.get("volumes") or ()):
        return False
    return not any(is_suspect(entry) for container in pod["containers"] for entry in container.get("env") or ())


def is_suspect(entry: Mapping[str, Any]) -> bool:
    """Tell whether a variable may be ours by its name alone, whatever the books say."""
    return entry["name"] in names.RESERVED or (entry["name"] == names.PYTHONPATH and is_prefixed(entry))
