"""The ConfigMap in which the bootstrap travels, and the live part of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from grpctracing.api import seconds
from grpctracing.injection import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing, SamplingRule

SETTINGS_KEY = "settings.json"
VERSION = 1


def settings_json(tracing: GrpcTracing, *, enabled: bool = True) -> str:
    """Return the text of settings.json: what running pods take over within about a minute, without a restart."""
    spec = tracing.spec
    instrumentation = spec.instrumentation
    settings = {
        "version": VERSION,
        "enabled": enabled,
        "sampler": {"type": spec.sampler.type, "argument": spec.sampler.argument},
        "rules": [_rule(entry) for entry in spec.sampler.rules if entry.drop or entry.ratio is not None],
        "keep": {
            "errors": spec.keep.errors,
            "slowerThan": None if spec.keep.slower_than is None else seconds(spec.keep.slower_than),
        },
        "messages": instrumentation.messages,
        "metrics": instrumentation.metrics,
        "excludedServices": list(instrumentation.excluded_services),
        "capturedMetadata": {
            "request": list(instrumentation.captured_metadata.request),
            "response": list(instrumentation.captured_metadata.response),
        },
    }
    return json.dumps(settings, indent=1) + "\n"


def _rule(entry: SamplingRule) -> dict[str, Any]:
    answer: dict[str, Any] = {"drop": True} if entry.drop else {"ratio": entry.ratio}
    return {"service": entry.service or "*", "method": entry.method or "*", **answer}


def bootstrap_config_map(tracing: GrpcTracing, payload: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest; *payload* maps flat keys (`sitecustomize.py`, `_grpctracing.hook.py`, …) to their text."""
    metadata = tracing.metadata
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.config_map_name(metadata.name),
            "namespace": metadata.namespace,
            "labels": {names.MANAGED_BY_LABEL: names.FIELD_MANAGER, names.TRACING_LABEL: metadata.name},
            "ownerReferences": [tracing.owner_reference],
        },
        "data": {**dict(sorted(payload.items())), SETTINGS_KEY: settings_json(tracing)},
    }
