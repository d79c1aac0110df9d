"""The managed Collector before the real judges: its own binary takes the configuration, the API server the manifests."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import os
import re
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from grpctracing.collector import manifests, names, render
from tests.api.apiserver import Server, eventually
from tests.cluster import tool
from tests.unit.api.objects import collector, tracing

pytestmark = pytest.mark.api

NAMESPACE = "collector-manifests"
IMAGE = "otel/opentelemetry-collector-contrib:0.159.0"
REF = {"name": "backend", "key": "token"}
GRPC = {"type": "otlp_grpc", "endpoint": "tempo.observability:4317"}
HTTP = {"type": "otlp_http", "endpoint": "https://otlp.example.com/v1"}

EXPORTERS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "plain gRPC": [{**GRPC, "insecure": True}],
    "gRPC with TLS": [{**GRPC, "signals": ["traces", "metrics"]}],
    "IPv6": [{**GRPC, "endpoint": "[fd00::1]:4317"}],
    "HTTP with headers": [{**HTTP, "headers": [{"name": "Authorization", "secretRef": REF}, {"name": "X", "value": "$5 ${a}"}]}],
    "several": [{**GRPC, "insecure": True}, HTTP, {"type": "debug"}],
    "metrics alone": [{**HTTP, "signals": ["metrics"]}, {"type": "debug"}],
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "one replica": {},
    "three replicas": {"replicas": 3},
    "tail sampling": {"tailSampling": {"enabled": True, "ratio": "0.001", "slowerThan": "1m30s"}},
    "both": {"replicas": 2, "tailSampling": {"enabled": True, "errors": False}},
}
MATRIX = [
    pytest.param({**shape, "exporters": exporters}, id=f"{name}, {kind}")
    for (name, shape), (kind, exporters) in itertools.product(SHAPES.items(), EXPORTERS.items())
]


def environment(address: str, **more: str) -> dict[str, str]:
    return {**os.environ, "POD_IP": address, "EXPORTER_1_HEADER_1": "Bearer x", **more}


@pytest.mark.parametrize("managed", MATRIX)
def test_the_collector_takes_every_configuration(managed, tmp_path):
    path = tmp_path / "collector.yaml"
    path.write_text(render(collector(**managed)))
    command = [tool("otelcol"), "validate", f"--config={path}"]
    done = subprocess.run(command, env=environment("10.0.0.1"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_collector_refuses_what_is_wrong_so_the_test_above_means_something(tmp_path):
    path = tmp_path / "collector.yaml"
    path.write_text(render(collector()).replace("metrics_flush_interval", "metrics_flush_intervall"))
    command = [tool("otelcol"), "validate", f"--config={path}"]
    done = subprocess.run(command, env=environment("10.0.0.1"), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "metrics_flush_intervall" in done.stderr


@pytest.fixture(scope="module")
def server(control_plane):
    server = Server(control_plane)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    assert server.apply(namespace, dry_run=False)[0] in {200, 201}
    return server


@pytest.mark.parametrize("managed", MATRIX)
def test_the_api_server_takes_every_manifest(server, managed):
    for obj in manifests(tracing({"collector": {"managed": managed}}, namespace=NAMESPACE), IMAGE):
        status, body = server.apply(obj)
        assert status in {200, 201}, f"{obj['kind']} {obj['metadata']['name']}: {body['message']}"


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_pods_are_admitted_where_pod_security_is_restricted(server, shape):
    exporters = [{**GRPC, "caSecretRef": REF, "headers": [{"name": "A", "secretRef": REF}]}]
    objects = manifests(
        tracing({"collector": {"managed": {**shape, "exporters": exporters}}}, namespace=NAMESPACE), IMAGE
    )
    by_kind = {obj["kind"]: obj for obj in objects}
    assert server.apply(by_kind["ServiceAccount"], dry_run=False)[0] in {200, 201}
    pod = {"apiVersion": "v1", "kind": "Pod", **by_kind["Deployment"]["spec"]["template"]}
    pod["metadata"] = {**pod["metadata"], "name": "probe", "namespace": NAMESPACE}
    status, body = server.create(pod)
    assert status == 201, body["message"]


# --- the real binary at work, on a loopback address of its own for each test


@contextmanager
def running(tmp_path, address: str, managed: dict[str, Any], **more: str):
    """Run the Collector with the rendered configuration, ready to take spans."""
    path = tmp_path / "collector.yaml"
    path.write_text(render(collector(**managed)))
    with (tmp_path / "log").open("wb") as log:
        command = [tool("otelcol"), f"--config={path}"]
        process = subprocess.Popen(command, env=environment(address, **more), stdout=log, stderr=log)
    try:
        eventually(lambda: get(address, 13133, "/")[0] == 200, (tmp_path / "log").read_text)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def get(address: str, port: int, path: str) -> tuple[int, str]:
    """Return status and body; 0 while nobody listens."""
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except ConnectionRefusedError:
        return 0, ""
    finally:
        connection.close()


def send(address: str, *spans: dict[str, Any]) -> None:
    """Send spans as the bootstrap of a pod of payment-service would."""
    resource = {
        "service.name": "pay",
        "k8s.deployment.name": "payment-service",
        "k8s.pod.name": "payment-service-6d4-x2x",
    }
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
    body = {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": list(spans)}]}]}
    connection = http.client.HTTPConnection(address, 4318, timeout=5)
    connection.request("POST", "/v1/traces", json.dumps(body), {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    assert status == 200


def span(number: int, *, milliseconds: int = 1, **fields: Any) -> dict[str, Any]:
    start = 1_700_000_000_000_000_000
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "shop.Payment/Process",
        "kind": 2,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + milliseconds * 1_000_000),
        **fields,
    }


def test_a_span_is_proof_for_its_deployment_and_pod(tmp_path):
    address = "127.66.1.1"
    with running(tmp_path, address, {}):
        assert "grpctracing_proof" not in get(address, 8889, "/metrics")[1]
        send(address, span(1), span(2))
        series = re.compile(
            r'^grpctracing_proof_calls_total\{(?=.*k8s_deployment_name="payment-service")'
            r'(?=.*k8s_pod_name="payment-service-6d4-x2x").*\} 2$',
            re.MULTILINE,
        )
        eventually(lambda: series.search(get(address, 8889, "/metrics")[1]))
        text = get(address, 8889, "/metrics")[1]
    proof = [line for line in text.splitlines() if line.startswith("grpctracing_proof_calls_total{")]
    assert len(proof) == 1, "one series per pod, whatever it calls"
    assert "span_name" not in proof[0]


def test_rate_errors_and_duration_are_counted_per_method(tmp_path):
    address = "127.66.1.2"
    method = [{"key": "rpc.method", "value": {"stringValue": "shop.Payment/Process"}}]
    with running(tmp_path, address, {}):
        send(address, span(1, milliseconds=1500, attributes=method, status={"code": 2}))
        eventually(lambda: "traces_span_metrics_duration_seconds_bucket" in get(address, 8889, "/metrics")[1])
        text = get(address, 8889, "/metrics")[1]
    (calls,) = [line for line in text.splitlines() if line.startswith("traces_span_metrics_calls_total{")]
    assert 'rpc_method="shop.Payment/Process"' in calls
    assert 'status_code="STATUS_CODE_ERROR"' in calls


def test_with_replicas_a_span_goes_by_way_of_the_one_that_its_trace_belongs_to(tmp_path, monkeypatch):
    address = "127.66.1.4"
    monkeypatch.setattr(names, "HEADLESS", address)  # the cluster's DNS would give the replicas: here this one
    with running(tmp_path, address, {"replicas": 2}):
        send(address, span(1))
        eventually(
            lambda: "grpctracing_proof_calls_total" in get(address, 8889, "/metrics")[1], (tmp_path / "log").read_text
        )


class Backend(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP and keeps it on its server."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((dict(self.headers), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def backend(address: str):
    server = ThreadingHTTPServer((address, 0), Backend)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def traces(server) -> set[int]:
    """Return the numbers of the traces that have arrived."""
    found = set()
    for _, body in server.requests:
        request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
        for resource in request.resource_spans:
            found |= {int(span.trace_id.hex(), 16) for scope in resource.scope_spans for span in scope.spans}
    return found


def test_tail_sampling_keeps_errors_slow_spans_and_what_the_bootstrap_kept(tmp_path):
    address = "127.66.1.3"
    kept = [{"key": "grpctracing.keep", "value": {"stringValue": "slow"}}]
    with backend(address) as target:
        url = f"http://{address}:{target.server_port}"
        headers = [{"name": "Authorization", "secretRef": REF}, {"name": "X-Literal", "value": "$5 ${env:HOME}"}]
        exporters = [{"type": "otlp_http", "endpoint": url, "headers": headers}]
        settings = {"enabled": True, "decisionWait": "1s", "slowerThan": "1s", "ratio": "0"}
        managed = {"exporters": exporters, "tailSampling": settings}
        with running(tmp_path, address, managed, EXPORTER_1_HEADER_1="Bearer 123"):
            send(
                address,
                span(1),
                span(2, status={"code": 2}),
                span(3, milliseconds=1000),
                span(4, attributes=kept),
                span(5),
            )
            eventually(lambda: {2, 3, 4} <= traces(target), (tmp_path / "log").read_text)
        assert traces(target) == {2, 3, 4}
        sent, _ = target.requests[0]
        assert sent["Authorization"] == "Bearer 123"
        assert sent["X-Literal"] == "$5 ${env:HOME}"
