from __future__ import annotations

import pytest
import yaml

from grpctracing.collector import config, render
from tests.unit.api.objects import collector, tracing

GRPC = {"type": "otlp_grpc", "endpoint": "tempo.observability:4317", "insecure": True}
HTTP = {"type": "otlp_http", "endpoint": "https://otlp.example.com"}
REF = {"name": "backend", "key": "token"}


def pipelines(**managed):
    return config(collector(**managed))["service"]["pipelines"]


def exporter(number=1, **fields):
    entry = {**GRPC, **fields}
    return config(collector(exporters=[entry]))["exporters"][f"{entry['type']}/{number}"]


def test_without_exporters_spans_go_to_the_log_of_the_collector():
    assert pipelines()["traces"]["exporters"] == ["span_metrics", "span_metrics/proof", "debug"]


def test_spans_are_counted_before_they_are_sampled():
    seen = pipelines(exporters=[GRPC], tailSampling={"enabled": True})
    assert seen["traces"]["exporters"] == ["span_metrics", "span_metrics/proof", "forward/sampled"]
    assert seen["traces/sampled"] == {
        "receivers": ["forward/sampled"],
        "processors": ["tail_sampling"],
        "exporters": ["otlp_grpc/1"],
    }


def test_more_replicas_pass_spans_on_by_trace_id_first():
    seen = pipelines(replicas=2)
    assert seen["traces/in"] == {
        "receivers": ["otlp"],
        "processors": ["memory_limiter"],
        "exporters": ["load_balancing"],
    }
    assert seen["traces"]["receivers"] == ["otlp/peer"]
    balancing = config(collector(replicas=2))["exporters"]["load_balancing"]
    assert balancing["routing_key"] == "traceID"
    assert balancing["resolver"] == {
        "dns": {"hostname": "otel-collector-headless", "port": "14317", "interval": "5s"},
    }


def test_one_replica_has_no_port_for_others():
    seen = config(collector())
    assert set(seen["receivers"]) == {"otlp"}
    assert "load_balancing" not in seen["exporters"]


@pytest.mark.parametrize("managed", [{}, {"replicas": 3}, {"tailSampling": {"enabled": True}}])
def test_memory_is_guarded_wherever_data_comes_in(managed):
    for name, pipeline in pipelines(**managed).items():
        if any(receiver.startswith("otlp") for receiver in pipeline["receivers"]):
            assert pipeline["processors"][0] == "memory_limiter", name


@pytest.mark.parametrize("managed", [{}, {"replicas": 3}, {"exporters": [GRPC, HTTP]}])
def test_every_part_is_used_and_every_used_part_is_there(managed):
    seen = config(collector(**managed))
    joined = list(seen["service"]["pipelines"].values())
    ends = {*seen["receivers"], *seen["exporters"], *seen["connectors"]}
    assert {name for pipeline in joined for side in ("receivers", "exporters") for name in pipeline[side]} == ends
    assert {name for pipeline in joined for name in pipeline["processors"]} == set(seen["processors"])


def test_proof_counts_by_workload_and_pod_only():
    proof = config(collector())["connectors"]["span_metrics/proof"]
    assert proof["namespace"] == "grpctracing.proof"
    assert proof["histogram"] == {"disable": True}
    assert proof["dimensions"] == [
        {"name": f"k8s.{name}"}
        for name in ("deployment.name", "statefulset.name", "daemonset.name", "pod.name", "pod.uid")
    ]
    assert proof["exclude_dimensions"] == ["span.name", "span.kind", "status.code"]


def test_proof_stays_in_the_cluster():
    seen = pipelines(exporters=[{**GRPC, "signals": ["traces", "metrics"]}])
    assert seen["metrics/proof"]["exporters"] == ["prometheus"]


def test_metrics_are_sent_only_to_backends_that_take_them():
    seen = pipelines(exporters=[GRPC, {**HTTP, "signals": ["metrics"]}])
    assert seen["metrics"]["exporters"] == ["prometheus", "otlp_http/2"]
    assert "otlp_http/2" not in seen["traces"]["exporters"]


def test_nothing_listens_beyond_the_pods_own_address():
    text = render(collector(replicas=2))
    assert "0.0.0.0" not in text
    for port in (4317, 4318, 8889, 13133, 14317):
        assert f"[${{env:POD_IP}}]:{port}" in text


def test_exporter_batches_and_has_a_bounded_queue():
    queue = exporter()["sending_queue"]
    assert queue["sizer"] == "items"
    assert queue["batch"]["max_size"] <= queue["queue_size"]


@pytest.mark.parametrize(
    ("fields", "tls"),
    [
        pytest.param({}, {"insecure": True}, id="plain text"),
        pytest.param({"insecure": None}, None, id="TLS with the authorities of the image"),
        pytest.param({"insecure": None, "caSecretRef": REF}, {"ca_file": "/etc/grpctracing/ca/1/token"}, id="own CA"),
    ],
)
def test_transport_security(fields, tls):
    assert exporter(**fields).get("tls") == tls


def test_secret_header_is_a_variable_and_a_literal_is_taken_as_it_is():
    headers = [{"name": "Authorization", "secretRef": REF}, {"name": "X-Price", "value": "5$ ${env:HOME}"}]
    assert exporter(headers=headers)["headers"] == {
        "Authorization": "${env:EXPORTER_1_HEADER_1}",
        "X-Price": "5$$ $${env:HOME}",
    }


def test_tail_sampling_keeps_what_the_bootstrap_kept_errors_slow_spans_and_a_ratio():
    settings = {"enabled": True, "slowerThan": "250ms", "ratio": "0.25", "maxTraces": 1000}
    seen = config(collector(tailSampling=settings))["processors"]["tail_sampling"]
    policies = {policy["name"]: policy for policy in seen["policies"]}
    assert list(policies) == ["kept", "slow", "errors", "ratio"]
    assert "250000000" in policies["slow"]["ottl_condition"]["span"][0]
    assert policies["ratio"]["probabilistic"] == {"sampling_percentage": 25.0}
    assert seen["num_traces"] == 1000


def test_errors_are_not_kept_when_told_so():
    settings = {"enabled": True, "errors": False}
    policies = config(collector(tailSampling=settings))["processors"]["tail_sampling"]["policies"]
    assert "errors" not in [policy["name"] for policy in policies]


def test_rendered_text_is_stable_plain_yaml_of_the_same_configuration():
    given = collector(replicas=2, exporters=[GRPC])
    text = render(given)
    assert text == render(given)
    assert yaml.safe_load(text) == config(given)
    assert "&id" not in text


def test_external_collector_gets_no_configuration_that_matters():
    external = tracing({"collector": {"mode": "External", "external": {"endpoint": "http://c:4317"}}})
    assert config(external) == config(tracing())
