"""The environment: the specification's variables, their defaults, and what is said about values that make no sense."""

import os
import re
import sys
from pathlib import Path
from unittest import mock
from urllib.parse import unquote

import pytest
from _grpctracing import config, resource
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import OTELResourceDetector
from opentelemetry.sdk.trace import SpanLimits

LIMITS = {
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "attributes",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "span_length",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "events",
    "OTEL_SPAN_LINK_COUNT_LIMIT": "links",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "event_attributes",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "link_attributes",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "attributes",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "length",
}


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.text(), st.text("%aF09é+ ", max_size=12)))
def test_percent_decoding_is_that_of_urllib(text):
    assert config.unquote(text) == unquote(text)


@settings(max_examples=2000, deadline=None)
@given(st.text("abk=, %2C%C3é\t", max_size=40), st.one_of(st.none(), st.text("abc", min_size=1)))
def test_resource_attributes_are_read_as_the_official_sdk_reads_them(text, name):
    environ = {"OTEL_RESOURCE_ATTRIBUTES": text, **({"OTEL_SERVICE_NAME": name} if name else {})}
    with mock.patch.dict(os.environ, environ):
        official = dict(OTELResourceDetector().detect().attributes)
    ours = resource.attributes(environ)
    official = {
        key: value
        for key, value in official.items()
        if key and (value or key not in {"service.name", "service.instance.id"})
    }
    assert {key: ours.get(key) for key in official} == official


def test_the_users_resource_attributes_come_before_ours_per_key():
    found = resource.attributes(
        {
            "OTEL_SERVICE_NAME": "payment",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=ignored,team=pay%2Cments,k8s.pod.name=mine",
            "GRPCTRACING_RESOURCE_ATTRIBUTES": "service.name=ours,k8s.pod.name=payment-1,k8s.node.name=n1,service.instance.id=uid.app",
        }
    )
    assert found["service.name"] == "payment"
    assert (found["team"], found["k8s.pod.name"], found["k8s.node.name"]) == ("pay,ments", "mine", "n1")
    assert found["service.instance.id"] == "uid.app"
    assert (found["telemetry.sdk.language"], found["telemetry.sdk.name"], found["process.pid"]) == (
        "python",
        "grpctracing",
        os.getpid(),
    )


def test_without_any_name_the_service_is_unknown_and_each_instance_its_own():
    first, second = resource.attributes({}), resource.attributes({})
    assert first["service.name"] == "unknown_service:" + Path(sys.executable).name
    assert first["service.instance.id"] != second["service.instance.id"]
    assert first["service.instance.id"][14] == "4"
    assert first["service.instance.id"][19] in "89ab"


def test_a_forked_worker_is_an_instance_of_its_own():
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=uid.app"}
    assert resource.attributes(environ, generation=1)["service.instance.id"] == f"uid.app.{os.getpid()}"


def where(environ, signal="traces"):
    found = config.endpoint(environ, signal)
    return found.protocol, found.target, found.host, found.port, found.path, found.tls


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ("grpc", "localhost:4317", "localhost", 4317, "v1/traces", False)),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector:4317"},
            ("grpc", "otel-collector:4317", "otel-collector", 4317, "v1/traces", False),
        ),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
            ("http/protobuf", "localhost:4318", "localhost", 4318, "v1/traces", False),
        ),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.example/otlp/"},
            ("http/protobuf", "c.example", "c.example", 443, "otlp/v1/traces", True),
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:80/own",
            },
            ("http/protobuf", "c:80", "c", 80, "own", False),
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:4317"}, ("grpc", "[::1]:4317", "::1", 4317, "v1/traces", False)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317"}, ("grpc", "c:4317", "c", 4317, "v1/traces", True)),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317", "OTEL_EXPORTER_OTLP_INSECURE": "True"},
            ("grpc", "c:4317", "c", 4317, "v1/traces", False),
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "unix:///run/c.sock"},
            ("grpc", "unix:///run/c.sock", "", 0, "v1/traces", False),
        ),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            ("http/protobuf", "localhost:4318", "localhost", 4318, "v1/traces", False),
        ),
    ],
)
def test_endpoints(environ, expected):
    assert where(environ) == expected


def test_a_signals_own_variables_come_first():
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b,x=1", "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "y=2",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2500", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "10",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }  # fmt: skip
    traces, metrics = config.endpoint(environ, "traces"), config.endpoint(environ, "metrics")
    assert (traces.headers, metrics.headers) == ((("api-key", "a b"), ("x", "1")), (("y", "2"),))
    assert (traces.timeout, metrics.timeout) == (2.5, 10.0)
    assert (traces.ca, traces.gzip) == ("/ca.pem", True)


def test_defaults():
    found = config.Config({})
    assert (found.queue_size, found.batch_size, found.delay, found.metric_interval) == (2048, 512, 1.0, 60.0)
    assert (found.trace_exporters, found.metric_exporters, found.delta, found.disabled) == (
        ("otlp",),
        ("otlp",),
        False,
        False,
    )
    assert found.propagation.header_names == {"traceparent", "tracestate", "baggage"}


@pytest.mark.parametrize(
    ("environ", "traces", "metrics"),
    [
        ({"OTEL_TRACES_EXPORTER": "none"}, (), ()),
        ({"OTEL_TRACES_EXPORTER": "console"}, ("console",), ()),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ("otlp", "console"), ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, ("otlp",), ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "otlp"}, (), ("otlp",)),
        ({"OTEL_METRICS_EXPORTER": "none"}, ("otlp",), ()),
        ({"OTEL_METRICS_EXPORTER": "console"}, ("otlp",), ("console",)),
        ({"OTEL_METRICS_EXPORTER": "console,otlp"}, ("otlp",), ("otlp", "console")),
        ({"OTEL_TRACES_EXPORTER": "console,otlp_proto_http,otlp"}, ("otlp", "console"), ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "otlp,none"}, (), ()),
    ],
)
def test_exporters(environ, traces, metrics):
    found = config.Config(environ)
    assert (found.trace_exporters, found.metric_exporters) == (traces, metrics)


@pytest.mark.parametrize(
    ("environ", "traces", "metrics"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_http"}, "http/protobuf", "http/protobuf"),
        ({"OTEL_TRACES_EXPORTER": "otlp_proto_grpc", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "grpc", "grpc"),
        ({"OTEL_METRICS_EXPORTER": "otlp_proto_http"}, "grpc", "http/protobuf"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp_proto_http", "OTEL_METRICS_EXPORTER": "otlp_proto_grpc"},
            "http/protobuf",
            "grpc",
        ),
    ],
)
def test_the_exporters_name_may_say_the_protocol(environ, traces, metrics):
    found = config.Config(environ)
    assert (found.traces.protocol, found.metrics.protocol) == (traces, metrics)


@given(st.dictionaries(st.sampled_from(sorted(LIMITS)), st.integers(0, 300).map(str)))
def test_limits_are_those_of_the_official_sdk(environ):
    with mock.patch.dict(os.environ, environ):
        official = SpanLimits()
    found = config.Limits(environ)
    assert [found.attributes, found.events, found.links, found.event_attributes, found.link_attributes] == [
        official.max_span_attributes,
        official.max_events,
        official.max_links,
        official.max_event_attributes,
        official.max_link_attributes,
    ]
    assert (found.span_length, found.length) == (official.max_span_attribute_length, official.max_attribute_length)


def test_what_python_users_know_from_contrib():
    environ = {
        "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES": "a.B, c.D,",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "requests, grpc_client",
        "OTEL_METRIC_EXPORT_TIMEOUT": "1500",
    }
    found = config.Config(environ)
    assert (found.excluded, found.uninstrumented, found.disabled) == (
        {"a.B", "c.D"},
        {"requests", "grpc_client"},
        False,
    )
    assert (found.traces.timeout, found.metrics.timeout) == (10.0, 1.5)
    assert config.Config({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}).disabled


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-3"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1.5"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_PROPAGATORS", "xray"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "smoke"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "novalue"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "k=é"),
        ("OTEL_RESOURCE_ATTRIBUTES", "novalue"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sometimes"),
        ("OTEL_TRACES_SAMPLER", "dice"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "never"),
        ("GRPCTRACING_HOOKS", "private"),
        *((limit, value) for limit in LIMITS for value in ("-1", "1.5", "some")),
    ],
)
def test_a_malformed_value_is_said_once_and_replaced_by_the_default(make_pipeline, capsys, variable, value):
    for _ in range(2):
        make_pipeline({variable: value}).departed()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("grpctracing: " + variable)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.sampled_from([
    "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_PROPAGATORS", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_RESOURCE_ATTRIBUTES", "GRPCTRACING_RESOURCE_ATTRIBUTES", "GRPCTRACING_PINNED",
    "OTEL_SERVICE_NAME", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_LOG_LEVEL",
]), st.text(max_size=30)))  # fmt: skip
def test_no_environment_keeps_a_pipeline_from_being_made(environ):
    from _grpctracing import log, pipeline

    with mock.patch.object(log, "write"):
        made = pipeline.Pipeline(environ)
        assert made.enabled
        made.start(2, "/a.B/C", None)


def test_every_variable_that_is_read_is_documented():
    root = Path(__file__).parents[3]
    sources = [file.read_text() for file in (root / "sidecar" / "payload").rglob("*.py")]
    names = {name for text in sources for name in re.findall(r'"((?:OTEL|GRPCTRACING)_[A-Z0-9_]*[A-Z0-9])"', text)}
    documented = set(re.findall(r"[A-Z][A-Z0-9_]+", (root / "docs" / "bootstrap.md").read_text()))
    assert len(names) > 25
    assert names - documented == set()
