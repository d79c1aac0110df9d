from __future__ import annotations

import pytest

from grpctracing.collector import CONFIG_HASH, manifests, render
from tests.unit.api.objects import collector, tracing

IMAGE = "otel/opentelemetry-collector-contrib:0.159.0"
REF = {"name": "backend", "key": "token"}
GRPC = {"type": "otlp_grpc", "endpoint": "tempo:4317"}


def objects(**managed):
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in manifests(collector(**managed), IMAGE)}


def deployment(**managed):
    return objects(**managed)["Deployment", "otel-collector"]


def container(**managed):
    (only,) = deployment(**managed)["spec"]["template"]["spec"]["containers"]
    return only


def env(**managed):
    return {entry["name"]: entry for entry in container(**managed)["env"]}


def test_one_replica_is_four_objects():
    assert set(objects()) == {
        ("ServiceAccount", "otel-collector"),
        ("ConfigMap", "otel-collector"),
        ("Service", "otel-collector"),
        ("Deployment", "otel-collector"),
    }


def test_more_replicas_add_a_headless_service_a_budget_and_a_spread():
    extra = set(objects(replicas=3)) - set(objects())
    assert extra == {("Service", "otel-collector-headless"), ("PodDisruptionBudget", "otel-collector")}
    assert objects(replicas=3)["Service", "otel-collector-headless"]["spec"]["clusterIP"] == "None"
    assert deployment(replicas=3)["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert "topologySpreadConstraints" not in deployment()["spec"]["template"]["spec"]


def test_the_deployment_comes_after_all_that_its_pods_need():
    assert manifests(collector(replicas=2), IMAGE)[-1]["kind"] == "Deployment"


def test_external_collector_needs_nothing():
    external = tracing({"collector": {"mode": "External", "external": {"endpoint": "http://c:4317"}}})
    assert manifests(external, IMAGE) == []


@pytest.mark.parametrize("obj", objects(replicas=2).values(), ids=lambda obj: f"{obj['kind']}")
def test_everything_is_labelled_owned_and_in_the_namespace(obj):
    metadata = obj["metadata"]
    assert metadata["namespace"] == "production"
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "grpctracing"
    assert metadata["labels"]["grpctracing.dev/tracing"] == "default"
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("GrpcTracing", "default", True)


def test_service_has_the_ports_that_applications_and_prometheus_use():
    ports = {port["name"]: port["port"] for port in objects()["Service", "otel-collector"]["spec"]["ports"]}
    assert ports == {"otlp-grpc": 4317, "otlp-http": 4318, "metrics": 8889}


def test_services_and_deployment_select_the_pods_and_nothing_of_them_ever_changes():
    for managed in ({}, {"replicas": 3, "exporters": [GRPC]}):
        labels = deployment(**managed)["spec"]["template"]["metadata"]["labels"]
        wanted = deployment(**managed)["spec"]["selector"]["matchLabels"]
        assert wanted == {"app.kubernetes.io/name": "otel-collector", "grpctracing.dev/tracing": "default"}
        assert wanted.items() <= labels.items()
        assert objects(**managed)["Service", "otel-collector"]["spec"]["selector"] == wanted


def test_every_target_port_is_a_port_of_the_container():
    seen = objects(replicas=2)
    ports = {port["name"] for port in container(replicas=2)["ports"]}
    for name in ("otel-collector", "otel-collector-headless"):
        assert {port["targetPort"] for port in seen["Service", name]["spec"]["ports"]} <= ports


def test_pods_fit_the_restricted_pod_security_standard():
    spec = deployment(replicas=2)["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert {next(iter(set(volume) - {"name"})) for volume in spec["volumes"]} <= {"configMap", "secret"}


def test_a_changed_configuration_is_a_rollout_and_an_unchanged_one_is_not():
    def hashed(**managed):
        return deployment(**managed)["spec"]["template"]["metadata"]["annotations"][CONFIG_HASH]

    assert hashed() == hashed()
    assert hashed() != hashed(exporters=[GRPC])
    assert deployment() == deployment()


def test_the_config_map_holds_what_the_container_is_told_to_read():
    (key,) = objects()["ConfigMap", "otel-collector"]["data"]
    assert objects()["ConfigMap", "otel-collector"]["data"][key] == render(collector())
    assert container()["args"] == [f"--config={container()['volumeMounts'][0]['mountPath']}/{key}"]


@pytest.mark.parametrize(
    ("resources", "requests", "limits", "heap"),
    [
        pytest.param(None, {"cpu": "50m", "memory": "128Mi"}, {"memory": "512Mi"}, "409MiB", id="nothing said"),
        pytest.param(
            {"limits": {"memory": "1Gi", "cpu": 1}},
            {"cpu": "50m", "memory": "128Mi"},
            {"memory": "1Gi", "cpu": 1},
            "819MiB",
            id="limits",
        ),
        pytest.param({"requests": {"cpu": "1"}}, {"cpu": "1"}, {"memory": "512Mi"}, "409MiB", id="requests"),
        pytest.param(
            {"limits": {"memory": "64Mi"}},
            {"cpu": "50m", "memory": "64Mi"},
            {"memory": "64Mi"},
            "51MiB",
            id="limit below the default request",
        ),
        pytest.param(
            {"requests": {"memory": "2G"}},
            {"memory": "2G"},
            {"memory": "2G"},
            "1525MiB",
            id="request above the default limit",
        ),
    ],
)
def test_memory_is_always_limited_and_the_heap_stays_below(resources, requests, limits, heap):
    managed = {"resources": resources} if resources else {}
    assert container(**managed)["resources"] == {"requests": requests, "limits": limits}
    assert env(**managed)["GOMEMLIMIT"]["value"] == heap


def test_secret_headers_travel_as_variables_that_the_kubelet_fills():
    headers = [{"name": "X-Tenant", "value": "a"}, {"name": "Authorization", "secretRef": REF}]
    seen = env(exporters=[{"type": "debug"}, {**GRPC, "headers": headers}])
    assert seen["EXPORTER_2_HEADER_2"]["valueFrom"] == {"secretKeyRef": REF}
    assert "EXPORTER_2_HEADER_1" not in seen


def test_certificate_authority_is_mounted_where_the_configuration_looks():
    managed = {"exporters": [{**GRPC, "caSecretRef": {"name": "ca", "key": "ca.crt"}}]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container(**managed)["volumeMounts"]}
    assert mounts["ca-1"] == "/etc/grpctracing/ca/1"
    assert "/etc/grpctracing/ca/1/ca.crt" in objects(**managed)["ConfigMap", "otel-collector"]["data"]["collector.yaml"]


def test_no_span_is_refused_because_the_collector_is_replaced():
    assert deployment()["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
