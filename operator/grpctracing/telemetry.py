"""What the operator tells about itself: JSON logs, Prometheus metrics, health, and traces of its own work."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from opentelemetry import trace
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

from grpctracing.flood import Flood

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RECONCILES: Final = Counter("grpctracing_reconciles", "Reconciliations by result.", ["controller", "result"])
RECONCILE_SECONDS: Final = Histogram("grpctracing_reconcile_seconds", "Duration of a reconciliation.", ["controller"])
QUEUE_DEPTH: Final = Gauge("grpctracing_queue_depth", "Keys that wait for a worker.", ["controller"])
API_REQUESTS: Final = Counter("grpctracing_api_requests", "Requests to the API server.", ["verb", "code"])
WATCH_EVENTS: Final = Counter("grpctracing_watch_events", "Pages and watch events received.", ["resource"])
WRITES: Final = Counter("grpctracing_deployment_writes", "Patches of user Deployments.", ["action"])
EVICTIONS: Final = Counter("grpctracing_evictions", "Pods evicted so that their successors are traced.")
PREFLIGHTS: Final = Counter("grpctracing_preflights", "Images looked into, by what came of it.", ["result"])
WORKLOADS: Final = Gauge("grpctracing_workloads", "Deployments that a GrpcTracing matches, by state.", ["state"])
LEADER: Final = Gauge("grpctracing_leader", "1 where this process does the work, 0 where it stands by.")

# Everything that a LogRecord has before `extra` is added: the rest are our fields.
PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One line per record: time, level, logger, the event, then its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON; what JSON can't say is told by its text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in PLAIN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> None:
    """Send all logs to stdout as JSON. Libraries speak only from warnings on, unless *level* is debug."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Flood())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("kopf", "kubernetes", "aiohttp.access", "opentelemetry"):
        logging.getLogger(name).setLevel(root.level if level == "debug" else max(logging.WARNING, root.level))


def configure_tracing(environ: Mapping[str, str]) -> Callable[[], None]:
    """Export spans of reconciliations over OTLP where `OTEL_EXPORTER_OTLP_ENDPOINT` is set; return what flushes them."""
    if not environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return lambda: None
    # Imported here: 15 MB that an operator without its own traces need not carry.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME") or "grpctracing-operator"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown


@contextlib.contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """Record the block as a span; costs next to nothing where no exporter is configured."""
    tracer = trace.get_tracer("grpctracing.operator")
    with tracer.start_as_current_span(name, attributes={f"grpctracing.{k}": v for k, v in attributes.items()}):
        yield


async def serve(port: int, *, alive: Callable[[], str | None], ready: Callable[[], str | None]) -> web.AppRunner:
    """Serve `/metrics`, `/livez` and `/readyz`; *alive* and *ready* return what is wrong, or None."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def health(check: Callable[[], str | None]) -> Callable[[web.Request], Any]:
        async def answer(_: web.Request) -> web.Response:
            trouble = check()
            return web.Response(text=trouble or "ok", status=503 if trouble else 200)

        return answer

    app = web.Application()
    app.add_routes(
        [web.get("/metrics", metrics), web.get("/livez", health(alive)), web.get("/readyz", health(ready))],
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
