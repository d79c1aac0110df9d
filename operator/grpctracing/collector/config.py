"""The Collector's configuration: which parts there are, and how they are joined to pipelines.

    otlp → memory_limiter ─┬→ span_metrics, span_metrics/proof → prometheus
                           └→ [tail_sampling] → exporters

Metrics are made before sampling, so they count everything that arrived. With more than one replica a first stage passes
each span to the replica that its trace id names, and the rest happens there, on whole traces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from grpctracing.collector import components as part
from grpctracing.collector import names
from grpctracing.collector.tail_sampling import tail_sampling

if TYPE_CHECKING:
    from grpctracing.api import GrpcTracing, ManagedCollector

Pipelines = dict[str, dict[str, list[str]]]


def config(tracing: GrpcTracing) -> dict[str, Any]:
    """Return the whole configuration as a dict; `render` makes it YAML."""
    managed = tracing.spec.collector.managed
    balanced = managed.replicas > 1
    sampled = managed.tail_sampling.enabled
    processors = {"memory_limiter": part.memory_limiter()}
    if sampled:
        processors["tail_sampling"] = tail_sampling(managed.tail_sampling)
    return {
        "extensions": {"health_check": {"endpoint": part.listen(names.PORT_HEALTH)}},
        "receivers": {"otlp": part.otlp_receiver(), **({"otlp/peer": part.peer_receiver()} if balanced else {})},
        "processors": processors,
        "connectors": {
            part.RED: part.red_metrics(),
            part.PROOF: part.proof_metrics(),
            **({part.SAMPLED: {}} if sampled else {}),
        },
        "exporters": {
            **_exporters(managed),
            "prometheus": part.prometheus(),
            **({"load_balancing": part.load_balancing()} if balanced else {}),
        },
        "service": {
            "extensions": ["health_check"],
            "telemetry": _telemetry(),
            "pipelines": _pipelines(managed),
        },
    }


def render(tracing: GrpcTracing) -> str:
    """Return the configuration as YAML, the same text for the same object."""
    return yaml.safe_dump(config(tracing), sort_keys=False, width=1000)


def _exporters(managed: ManagedCollector) -> dict[str, Any]:
    if not managed.exporters:
        return {"debug": part.debug()}
    return {
        f"{entry.type}/{number}": part.exporter(entry, number)
        for number, entry in enumerate(managed.exporters, start=1)
    }


def _targets(managed: ManagedCollector, signal: str) -> list[str]:
    """Return the exporters of a signal; with none given, traces go to the log."""
    chosen = [
        f"{entry.type}/{number}"
        for number, entry in enumerate(managed.exporters, start=1)
        if signal in (entry.signals or ("traces",))
    ]
    return chosen or (["debug"] if signal == "traces" and not managed.exporters else [])


def _pipelines(managed: ManagedCollector) -> Pipelines:
    backends = _targets(managed, "traces")
    rest = [part.SAMPLED] if managed.tail_sampling.enabled else backends
    seen = [part.RED, part.PROOF, *rest]
    out: Pipelines = {}
    if managed.replicas > 1:
        out["traces/in"] = {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": ["load_balancing"]}
        out["traces"] = {"receivers": ["otlp/peer"], "processors": ["memory_limiter"], "exporters": seen}
    else:
        out["traces"] = {"receivers": ["otlp"], "processors": ["memory_limiter"], "exporters": seen}
    if managed.tail_sampling.enabled:
        out["traces/sampled"] = {"receivers": [part.SAMPLED], "processors": ["tail_sampling"], "exporters": backends}
    out["metrics"] = {
        "receivers": ["otlp", part.RED],
        "processors": ["memory_limiter"],
        "exporters": ["prometheus", *_targets(managed, "metrics")],
    }
    # Apart from the others: the proof stays in the cluster.
    out["metrics/proof"] = {"receivers": [part.PROOF], "processors": [], "exporters": ["prometheus"]}
    return out


def _telemetry() -> dict[str, Any]:
    reader = {"pull": {"exporter": {"prometheus": {"host": "${env:POD_IP}", "port": names.PORT_OWN_METRICS}}}}
    return {"metrics": {"level": "normal", "readers": [reader]}, "logs": {"encoding": "json"}}
