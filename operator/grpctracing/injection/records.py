"""The ConfigMap in which findings outlive the operator: one entry per image, so that a restart looks into nothing again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection import names
from grpctracing.injection.findings import parse, text
from grpctracing.injection.probing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.injection.findings import Finding, Report

SETS_PATH: Final = "sets-path"
"""In an entry: whether the container that was looked into set a PYTHONPATH of its own, which hides that of the image."""
MOST: Final = 1000
"""Entries; with more, the oldest are dropped. An entry has some 400 bytes, a ConfigMap holds a mebibyte."""


def records_name(tracing: str) -> str:
    """Return the name of the ConfigMap with what was found for the GrpcTracing *tracing*."""
    return f"grpctracing-{tracing}-preflight"


def recorded(
    config_map: Mapping[str, Any] | None, deployment: Mapping[str, Any], *, by_policy: bool = False
) -> dict[str, Finding | None]:
    """Return container → what is recorded of its image, or None; an entry that cannot be read is none.

    *by_policy*: an entry has to hold for other containers of that image, too, as it does in a policy.
    """
    entries = (config_map or {}).get("data") or {}
    keys = {item["name"]: digest(item) for item in deployment["spec"]["template"]["spec"]["containers"]}
    found = {
        name: entries[key]
        for name, key in keys.items()
        if key in entries and not (by_policy and doubtful(entries[key]))
    }
    return {name: parse(found[name]) if name in found else None for name in keys}


def doubtful(entry: str) -> bool:
    """Tell whether it is not said whose the path in an entry is, the image's or the container's: that is worth another look."""
    report = parse(entry)
    return report is not None and bool(report.pythonpath) and SETS_PATH not in json.loads(entry)


def record(report: Report, image: str, now: str, *, sets_path: bool = False) -> str:
    """Return the entry for *report* of *image*; *now* (RFC 3339) is there for people, and for dropping the oldest."""
    return json.dumps({"image": image, "at": now, SETS_PATH: sets_path, **json.loads(text(report))})


def records_config_map(tracing: GrpcTracing, entries: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest with the newest of *entries* (key → `record`)."""
    metadata = tracing.metadata
    newest = sorted(entries.items(), key=lambda item: age(item[1]), reverse=True)[:MOST]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": records_name(metadata.name),
            "namespace": metadata.namespace,
            "labels": {names.MANAGED_BY_LABEL: names.FIELD_MANAGER, names.TRACING_LABEL: metadata.name},
            "ownerReferences": [tracing.owner_reference],
        },
        "data": dict(sorted(newest)),
    }


def age(entry: str) -> str:
    """Return when an entry was made; an unreadable one is older than all."""
    try:
        return str(json.loads(entry)["at"])
    except (ValueError, KeyError, TypeError):
        return ""
