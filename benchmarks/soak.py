"""Soak: a traced client and a traced server under load, and a Collector that comes and goes: `python -m benchmarks.soak [minutes]`.

Each round: the Collector is there and as many calls as fit are made, of which not one span may be lost; then it is away for a third of that time, when the
queues overflow, which is bounded and counted. Memory must be flat after the first round. Exits with 1 where one of that is not so.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.bootstrap.process import start

if TYPE_CHECKING:
    import subprocess

THREADS = 2
LOAD_SECONDS, AWAY_SECONDS = 15.0, 5.0
BACK_SECONDS = 60.0  # the exporter's longest pause is 30
QUIET_SECONDS = 2.0
GROWTH = 1.05


class Collector:
    """Counts spans, while it is there."""

    def __init__(self) -> None:
        self.spans = {"client": 0, "server": 0}
        self.port = 0
        self._server: grpc.Server | None = None

    def come(self) -> None:
        """Listen, on the same port each time."""
        handler = grpc.unary_unary_rpc_method_handler(
            self._take, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
        )
        service = "opentelemetry.proto.collector.trace.v1.TraceService"
        self._server = grpc.server(ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def go(self) -> None:
        """Be away, as a pod that was deleted is."""
        if self._server is not None:
            self._server.stop(0).wait()

    def _take(self, request: ExportTraceServiceRequest, _: grpc.ServicerContext) -> ExportTraceServiceResponse:
        for batch in request.resource_spans:
            name = next(pair.value.string_value for pair in batch.resource.attributes if pair.key == "service.name")
            self.spans[name] += sum(len(scope.spans) for scope in batch.scope_spans)
        return ExportTraceServiceResponse()

    def more(self, each: int) -> int:
        """Return how many spans come until both processes have sent *each* and no more come for a while; or until that has taken too long."""
        before, seen, since = dict(self.spans), dict(self.spans), time.monotonic()
        end = since + BACK_SECONDS
        while time.monotonic() < end and (
            min(seen[name] - before[name] for name in seen) < each or time.monotonic() - since < QUIET_SECONDS
        ):
            time.sleep(0.05)
            if self.spans != seen:
                seen, since = dict(self.spans), time.monotonic()
        return sum(seen.values()) - sum(before.values())


def resident(process: subprocess.Popen[str]) -> float:
    """Return the resident memory of *process* in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def load(client: subprocess.Popen[str], seconds: float) -> int:
    """Have *client* make calls for so many *seconds*; return how many."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(f"{seconds} {THREADS}\n")
    client.stdin.flush()
    return int(client.stdout.readline())


def main(minutes: float) -> int:
    """Run for so many *minutes*, report, return the exit status."""
    collector = Collector()
    collector.come()
    options = {"endpoint": f"http://127.0.0.1:{collector.port}", "OTEL_METRICS_EXPORTER": "none"}
    server = start(Path("plain.py"), "serve", "sync", OTEL_SERVICE_NAME="server", **options)
    assert server.stdout is not None
    client = start(
        Path("survival_load.py"), OTEL_SERVICE_NAME="client", ECHO=server.stdout.readline().strip(), **options
    )
    end, rounds, calls, lost, away, late = time.monotonic() + minutes * 60, 0, 0, 0, 0, 0
    warm: list[float] = []
    while not warm or time.monotonic() < end:
        before = sum(collector.spans.values())
        made = load(client, LOAD_SECONDS)
        collector.more(0)
        lost += 2 * made - (sum(collector.spans.values()) - before)
        calls += made
        rounds += 1
        collector.go()
        away += load(client, AWAY_SECONDS)
        collector.come()
        late += collector.more(1)  # both processes have found it again
        if not warm:  # the queues have been full once
            warm = [resident(client), resident(server)]
        print(f"round {rounds}: {made} calls, RSS {resident(client):.1f} + {resident(server):.1f} MiB", flush=True)
    now = [resident(client), resident(server)]
    print(f"calls: {calls} with the Collector there, {away} without; rounds: {rounds}")
    print(f"spans lost while the Collector was there: {lost}; of {2 * away} made while it was away, {late} came later")
    for name, first, last in zip(("client", "server"), warm, now, strict=True):
        print(f"{name}: {first:.1f} MiB after warm-up, {last:.1f} MiB at the end")
    for process in (client, server):
        process.communicate(timeout=60)
    collector.go()
    return int(lost != 0 or any(last > first * GROWTH for first, last in zip(warm, now, strict=True)))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else 60.0))
