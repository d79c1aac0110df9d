"""Collectors as they are in bad times, seen from applications: calls go on as without us, what can arrive does, and what can't is told by our own metrics."""

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from itertools import repeat

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.bootstrap.core.receivers import GrpcReceiver, HttpReceiver, all_metrics
from tests.bootstrap.process import Ended, using_apps, wait
from tests.bootstrap.survival.waiting import free_port

CALLS = using_apps("from survival import *\nsay(call({calls}))\n{more}")
WELL = Ended(0, "300\n", "")


def refuse(code):
    return lambda context: context.abort(code, "go away")


def own_metrics(collector):
    """Return the latest values of our own counters, by name."""
    found = all_metrics(collector.received.metrics[-1])
    return {
        name.removeprefix("grpctracing."): metric.sum.data_points[0].as_int
        for name, metric in found.items()
        if name.startswith("grpctracing.")
    }


BAD = {
    "down": lambda _: f"http://127.0.0.1:{free_port()}",
    "silent": lambda silent: silent,
    "no such name": lambda _: "http://collector.invalid:4317",
    "no address at all": lambda _: "http://[::1",
    "a port that is none": lambda _: "http://127.0.0.1:99999999",
}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_collector_that_is_not_there(protocol, starting, echo, silent):
    processes = [
        starting(
            CALLS.format(calls=300, more=""),
            endpoint=endpoint(silent),
            ECHO=echo,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        )
        for endpoint in BAD.values()
    ]
    assert [wait(process, within=30) for process in processes] == [WELL] * len(BAD)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"])
def test_a_collector_that_refuses(code, starting, echo):
    with GrpcReceiver() as collector:
        collector.answers.extend(repeat(refuse(grpc.StatusCode[code]), 10000))
        process = starting(CALLS.format(calls=300, more=""), ECHO=echo, **collector.environ())
        assert wait(process, within=30) == WELL
        assert collector.received.requests


def test_an_address_that_answers_something_else(starting, echo):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>log in" + bytes(range(256)) * 1000)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        processes = [
            starting(
                CALLS.format(calls=300, more=""),
                endpoint=f"http://127.0.0.1:{server.server_port}",
                ECHO=echo,
                OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            )
            for protocol in ("grpc", "http/protobuf")
        ]
        assert [wait(process, within=30) for process in processes] == [WELL] * 2
        server.shutdown()
        thread.join()


def test_what_does_not_arrive_is_counted_and_told(starting, echo, silent):
    """Dropped: the queue was full. Rejected: the Collector said so. Lost: it never took them."""
    more = "import time\ntime.sleep(0.5)\nsay(call(100))\n"
    with GrpcReceiver() as picky, GrpcReceiver() as refusing, GrpcReceiver() as metrics:
        metrics_to = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"http://127.0.0.1:{metrics.port}"}
        refusing.answers.extend(repeat(refuse(grpc.StatusCode.INVALID_ARGUMENT), 10000))
        picky.partial = (1, "one is too old")
        told = []
        for traces, queue in (
            (silent, "50"),
            (f"http://127.0.0.1:{picky.port}", "2048"),
            (f"http://127.0.0.1:{refusing.port}", "2048"),
        ):
            process = starting(
                CALLS.format(calls=100, more=more),
                ECHO=echo,
                OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=traces,
                OTEL_BSP_MAX_QUEUE_SIZE=queue,
                OTEL_METRIC_EXPORT_INTERVAL="100",
                OTEL_BSP_EXPORT_TIMEOUT="400",
                **metrics_to,
            )
            assert wait(process) == Ended(0, "100\n100\n", "")
            told.append(own_metrics(metrics))
            metrics.received.metrics.clear()
    dropped, rejected, lost = told
    assert set(dropped) == {"spans.dropped"}
    assert 0 < dropped["spans.dropped"] <= 150
    assert set(rejected) == {"spans.rejected"}
    assert lost == {"spans.lost": 200}


@pytest.fixture
def authority(tmp_path):
    """Return (certificate, key) of a CA that nobody else knows, for 127.0.0.1; both as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - dt.timedelta(days=1), now + dt.timedelta(days=1)
    )
    certificate = certificate.add_extension(address, critical=False)
    certificate = certificate.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    signed = certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "ca.pem").write_bytes(signed)
    (tmp_path / "key.pem").write_bytes(private)
    return tmp_path / "ca.pem", tmp_path / "key.pem"


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("known", [True, False])
def test_tls_with_a_ca_of_ones_own(protocol, known, starting, echo, authority):
    certificate, key = authority
    if protocol == "grpc":
        pair = (key.read_bytes(), certificate.read_bytes())
        collector = GrpcReceiver(credentials=grpc.ssl_server_credentials([pair]))
    else:
        collector = HttpReceiver()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        collector.server.socket = context.wrap_socket(collector.server.socket, server_side=True)
        collector.server.handle_error = lambda *_: None
    with collector:
        process = starting(
            CALLS.format(calls=3, more=""),
            endpoint=f"https://127.0.0.1:{collector.port}",
            ECHO=echo,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            **({"OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate)} if known else {}),
        )
        assert wait(process) == Ended(0, "3\n", "")
        assert len(collector.received.spans()) == (3 if known else 0)
