"""Collectors made of official parts: what arrives is decoded by opentelemetry-proto and kept for the test to look at."""

import gzip
import socket
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Received:
    """What a receiver has been sent, decoded."""

    def __init__(self):
        self.traces = []
        self.metrics = []
        self.headers = []
        self.requests = 0
        self.arrived = threading.Condition()

    def add(self, kind, request, headers):
        with self.arrived:
            getattr(self, kind).append(request)
            self.headers.append(headers)
            self.arrived.notify_all()

    def seen(self):
        with self.arrived:
            self.requests += 1
            self.arrived.notify_all()

    def spans(self):
        return [
            span
            for request in self.traces
            for batch in request.resource_spans
            for scope in batch.scope_spans
            for span in scope.spans
        ]

    def wait(self, condition, within=8):
        with self.arrived:
            assert self.arrived.wait_for(condition, within), f"not within {within} s"

    def wait_for_spans(self, number, within=8):
        self.wait(lambda: len(self.spans()) >= number, within)
        return self.spans()


def all_metrics(request):
    return {
        metric.name: metric
        for batch in request.resource_metrics
        for scope in batch.scope_metrics
        for metric in scope.metrics
    }


class GrpcReceiver(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """OTLP/gRPC. `answers` holds what to do with the next requests instead of accepting them: functions of the servicer context."""

    def __init__(self, port=0, credentials=None):
        self.received = Received()
        self.answers = deque()
        self.partial = None
        self.server = grpc.server(ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self.server)
        servicer = metrics_service_pb2_grpc.MetricsServiceServicer()
        servicer.Export = self.export_metrics
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(servicer, self.server)
        address = f"127.0.0.1:{port}"
        self.port = (
            self.server.add_secure_port(address, credentials) if credentials else self.server.add_insecure_port(address)
        )

    def Export(self, request, context):  # noqa: N802 - the name is protobuf's
        self._answer(context)
        self.received.add("traces", request, dict(context.invocation_metadata()))
        response = trace_service_pb2.ExportTraceServiceResponse()
        if self.partial:
            response.partial_success.rejected_spans, response.partial_success.error_message = self.partial
        return response

    def export_metrics(self, request, context):
        self._answer(context)
        self.received.add("metrics", request, dict(context.invocation_metadata()))
        return metrics_service_pb2.ExportMetricsServiceResponse()

    def _answer(self, context):
        self.received.seen()
        if self.answers:
            self.answers.popleft()(context)

    def environ(self):
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait()


class HttpReceiver:
    """OTLP/HTTP. `answers` holds (status, headers) for the next requests instead of accepting them; *pause* (s) comes between accepting and saying so."""

    def __init__(self, pause=0.0):
        self.received = received = Received()
        self.answers = answers = deque()
        self.connections = connections = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                connections.append(self.client_address)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.seen()
                status, headers = answers.popleft() if answers else (200, {})
                if status == 200:
                    self.accept(body)
                    time.sleep(pause)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def accept(self, body):
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                kind, message = {
                    "/v1/traces": ("traces", trace_service_pb2.ExportTraceServiceRequest),
                    "/v1/metrics": ("metrics", metrics_service_pb2.ExportMetricsServiceRequest),
                }[self.path]
                received.add(kind, message.FromString(body), dict(self.headers))

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def environ(self):
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }

    def __enter__(self):
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
