"""Export to the console, to nowhere, over TLS; and that our own export is marked."""

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.bootstrap.core.calls import CLIENT, eventually, finished, manual
from tests.bootstrap.core.receivers import GrpcReceiver


def test_the_console_prints_one_line_per_call_and_span(make_pipeline, capsys):
    with GrpcReceiver() as collector:
        pipeline = make_pipeline({**collector.environ(), "OTEL_TRACES_EXPORTER": "console,otlp"})
        pipeline.finish(finished(CLIENT, code=14, details="no route", sent=1, bytes_sent=20))
        pipeline.finish_span(manual(status_code=2))
        collector.received.wait_for_spans(2)
        first, second = capsys.readouterr().err.splitlines()
    for part in (
        "CLIENT",
        "shop.Payment/Charge",
        "UNAVAILABLE",
        "'no route'",
        "10.0ms",
        "sent=1/20B",
        "trace=%032x" % (0xABC << 64 | 5),
    ):
        assert part in first
    assert "validate_payment ERROR 500.0ms" in second


def test_metrics_on_the_console_are_one_line_per_series(make_pipeline, capsys):
    pipeline = make_pipeline({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "console"})
    for seconds in (0.01, 0.03):
        pipeline.finish(finished(CLIENT, seconds=seconds))
    pipeline.finish(finished(code=14))
    pipeline.flush(8.0)
    first, second = (
        line.partition(" ")[2] for line in sorted(capsys.readouterr().err.splitlines(), key=lambda line: line[9:])
    )
    assert first == "rpc.client.call.duration shop.Payment/Charge OK count=2 mean=20.0ms max=30.0ms"
    assert second == "rpc.server.call.duration shop.Payment/Charge UNAVAILABLE count=1 mean=10.0ms max=10.0ms"


def test_a_closed_or_missing_stderr_is_no_trouble(make_pipeline, monkeypatch):
    pipeline = make_pipeline({"OTEL_TRACES_EXPORTER": "console"})
    monkeypatch.setattr("sys.stderr", None)
    pipeline.finish(finished())
    assert pipeline.flush()
    assert pipeline.counters["internal_errors"] == 0


def test_none_exports_nothing_and_starts_no_thread(make_pipeline):
    pipeline = make_pipeline({"OTEL_TRACES_EXPORTER": "none"})
    pipeline.finish(finished())
    pipeline.finish_span(manual())
    assert pipeline.counters["spans_waiting"] == 0
    assert pipeline._exporter.asleep


def test_our_export_is_marked_as_ours(make_pipeline):
    from _grpctracing import context

    seen = []
    with GrpcReceiver() as collector:
        pipeline = make_pipeline(collector.environ())
        transport = pipeline.departed().spans.transport
        send = transport.send
        transport.send = lambda *args: (seen.append(context.suppressed.get()), send(*args))[1]
        pipeline.finish(finished())
        collector.received.wait_for_spans(1)
    assert seen == [True]
    assert context.suppressed.get() is False


def test_tls_with_a_custom_ca(make_pipeline, tmp_path):
    import datetime as dt
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "collector")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1).not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1)).add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    ).public_bytes(serialization.Encoding.PEM)  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certificate)
    with GrpcReceiver(credentials=grpc.ssl_server_credentials([(private, certificate)])) as collector:
        pipeline = make_pipeline(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://127.0.0.1:{collector.port}",
                "OTEL_EXPORTER_OTLP_CERTIFICATE": str(ca),
            }
        )
        pipeline.finish(finished())
        collector.received.wait_for_spans(1)


def test_a_ca_that_cannot_be_read_is_a_lost_batch_and_not_an_error(make_pipeline):
    pipeline = make_pipeline(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere/ca.pem"}
    )
    pipeline.finish(finished())
    eventually(lambda: pipeline.counters["spans_lost"] == 1)
    assert pipeline.counters["internal_errors"] == 0
