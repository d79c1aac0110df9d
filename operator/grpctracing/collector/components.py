"""The parts of a Collector configuration that do not depend on each other: receivers, connectors, exporters.

Each function returns the settings of one component. Names of components are those of Collector 0.159 and newer;
batching is done in the exporters, because the batch processor is on its way out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grpctracing.collector import names

if TYPE_CHECKING:
    from grpctracing.api import Exporter

Settings = dict[str, Any]

PROOF: Final = "span_metrics/proof"
RED: Final = "span_metrics"
SAMPLED: Final = "forward/sampled"
BUCKETS: Final = ["5ms", "10ms", "25ms", "50ms", "100ms", "250ms", "500ms", "1s", "2500ms", "5s", "10s"]
# Both generations of names: services with an SDK in their code may still send the older ones.
DIMENSIONS: Final = (
    "rpc.system.name",
    "rpc.system",
    "rpc.service",
    "rpc.method",
    "rpc.response.status_code",
    "rpc.grpc.status_code",
)
DEFAULT_DIMENSIONS: Final = ("span.name", "span.kind", "status.code")
MAX_SERIES: Final = 5000
PROVING: Final = (
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.pod.name",
    "k8s.pod.uid",
)


def listen(port: int) -> str:
    """Return the address of a port on the pod's own IP, of either family; never 0.0.0.0, which every interface could reach."""
    return f"[${{env:POD_IP}}]:{port}"


def otlp_receiver() -> Settings:
    """Return OTLP over gRPC and HTTP. Connections end after a minute, so that clients spread over new replicas."""
    age = {"max_connection_age": "60s", "max_connection_age_grace": "10s"}
    return {
        "protocols": {
            "grpc": {"endpoint": listen(names.PORT_GRPC), "keepalive": {"server_parameters": age}},
            "http": {"endpoint": listen(names.PORT_HTTP)},
        }
    }


def peer_receiver() -> Settings:
    """Return OTLP/gRPC for what other replicas pass on."""
    return {"protocols": {"grpc": {"endpoint": listen(names.PORT_PEER)}}}


def memory_limiter() -> Settings:
    """Return the processor that refuses data before the container's limit is reached; always the first one."""
    return {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20}


def red_metrics() -> Settings:
    """Return rate, errors and duration per method, from spans as they arrive."""
    return {
        "histogram": {"unit": "s", "explicit": {"buckets": BUCKETS}},
        "dimensions": [{"name": name} for name in DIMENSIONS],
        "exemplars": {"enabled": True},
        "metrics_flush_interval": "15s",
        "metrics_expiration": "15m",
        "aggregation_cardinality_limit": MAX_SERIES,
    }


def proof_metrics() -> Settings:
    """Return the count of spans per workload and pod: what the operator calls proof that a workload is traced."""
    return {
        "namespace": "grpctracing.proof",
        "histogram": {"disable": True},
        "dimensions": [{"name": name} for name in PROVING],
        "exclude_dimensions": list(DEFAULT_DIMENSIONS),
        "metrics_flush_interval": "2s",
        "metrics_expiration": "1h",
        "aggregation_cardinality_limit": MAX_SERIES,
    }


def prometheus() -> Settings:
    """Return the endpoint that Prometheus, and the operator's proof, read."""
    return {"endpoint": listen(names.PORT_METRICS), "enable_open_metrics": True, "metric_expiration": "20m"}


def load_balancing() -> Settings:
    """Return the exporter that sends all spans of a trace to one replica, found by DNS (which needs no permission)."""
    return {
        "routing_key": "traceID",
        "protocol": {"otlp": {"tls": {"insecure": True}, "sending_queue": {"enabled": True}}},
        "resolver": {"dns": {"hostname": names.HEADLESS, "port": str(names.PORT_PEER), "interval": "5s"}},
    }


def debug() -> Settings:
    """Return the exporter that writes to the Collector's log, a few lines per second at most."""
    return {"verbosity": "normal", "sampling_initial": 5, "sampling_thereafter": 500}


def exporter(settings: Exporter, number: int) -> Settings:
    """Return the settings of a user's exporter; *number* counts from 1 and names its variables and files."""
    if settings.type == "debug":
        return debug()
    out: Settings = {
        "endpoint": literal(settings.endpoint or ""),
        "sending_queue": {
            "sizer": "items",
            "queue_size": 20000,
            "batch": {"flush_timeout": "1s", "min_size": 512, "max_size": 4096},
        },
    }
    if settings.type == "otlp_grpc" and settings.insecure:
        out["tls"] = {"insecure": True}
    elif settings.ca_secret_ref:
        out["tls"] = {"ca_file": f"{names.ca_directory(number)}/{settings.ca_secret_ref.key}"}
    headers = {
        header.name: f"${{env:{names.header_variable(number, index)}}}"
        if header.secret_ref
        else literal(header.value or "")
        for index, header in enumerate(settings.headers, start=1)
    }
    if headers:
        out["headers"] = headers
    return out


def literal(text: str) -> str:
    """Return *text* so that the Collector takes it as it is: `$` would start a reference to a variable."""
    return text.replace("$", "$$")
