"""What the API server accepts, which defaults it writes, and how status and columns look."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from grpctracing.api import EXCLUDED_SERVICES, GrpcTracing
from tests.api.apiserver import OBJECTS, serving
from tests.cluster import tool
from tests.unit.api.objects import manifest

pytestmark = pytest.mark.api


@pytest.fixture(scope="module")
def server(control_plane):
    return serving(control_plane)


def external(**fields: Any) -> dict[str, Any]:
    return {"collector": {"mode": "External", "external": {"endpoint": "http://collector:4317", **fields}}}


REF = {"name": "secret", "key": "token"}

FULL = {
    "selector": {"matchLabels": {"app.kubernetes.io/part-of": "shop"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a"]}, {"key": "x", "operator": "Exists"}]},
    "sampler": {
        "type": "parentbased_traceidratio",
        "argument": "0.1",
        "rules": [{"service": "shop.Stock", "method": "Poll", "drop": True}, {"service": "shop.*", "ratio": "0.5"}, {"service": "*", "method": "Get*", "ratio": "1"}],
    },
    "keep": {"errors": False, "slowerThan": "Never"},
    "propagators": ["tracecontext", "baggage", "b3", "b3multi"],
    "collector": {
        "mode": "Managed",
        "managed": {
            "replicas": 3,
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": 1, "memory": "1Gi"}},
            "exporters": [
                {"type": "otlp_grpc", "endpoint": "tempo.observability:4317", "insecure": True},
                {"type": "otlp_grpc", "endpoint": "[fd00::1]:4317", "caSecretRef": REF, "signals": ["traces", "metrics"]},
                {"type": "otlp_http", "endpoint": "https://otlp.example.com/x", "headers": [{"name": "Authorization", "secretRef": REF}, {"name": "X-Scope-OrgID", "value": "a"}]},
                {"type": "debug"},
            ],
            "tailSampling": {"enabled": True, "decisionWait": "5s", "maxTraces": 1000, "errors": True, "slowerThan": "500ms", "ratio": "0.25"},
        },
    },
    "instrumentation": {"metrics": False, "messages": "Events", "semconv": "stable", "excludedServices": [], "capturedMetadata": {"request": ["x-tenant", "idempotency-key"], "response": ["x-cost"]}},
    "resourceAttributes": {"deployment.environment.name": "production, eu"},
    "env": [{"name": "OTEL_BSP_SCHEDULE_DELAY", "value": "1000"}],
    "bootstrap": {"enabled": False},
    "preflight": "Never",
    "rollout": {"mode": "Plan", "strategy": "Admission", "restartExisting": True, "maxConcurrent": 1, "healthTimeout": "1m30s"},
}  # fmt: skip

VALID = [
    ("nothing said", {}),
    ("everything said", FULL),
    ("all of the namespace", {"selector": {}}),
    *((f"sampler {name}", {"sampler": {"type": name}}) for name in ("always_on", "always_off", "parentbased_always_on", "parentbased_always_off")),
    *((f"ratio {text}", {"sampler": {"type": "traceidratio", "argument": text}}) for text in ("0", "1", "0.0", "1.0", ".5", "1e-4", "0.0001")),
    *((f"endpoint {url}", external(endpoint=url)) for url in ("https://otlp.example.com", "http://10.0.0.1:4318/v1", "http://[fd00::1]:4317")),
    ("headers", external(protocol="http/protobuf", headersSecretRef=REF)),
    ("no propagation", {"propagators": ["none"]}),
    ("no look at messages", {"instrumentation": {"messages": "Never"}}),
    ("a rule for everything", {"sampler": {"rules": [{"service": "*", "method": "*", "drop": True}]}}),
    ("requests alone", {"collector": {"managed": {"resources": {"requests": {"cpu": 1, "memory": "100M"}}}}}),
]  # fmt: skip

PARENTS = {
    "keep": {},
    "collector": {"managed": {"tailSampling": {}}},
    "instrumentation": {},
    "bootstrap": {},
    "rollout": {},
}


@pytest.mark.parametrize("spec", [entry[1] for entry in VALID], ids=[entry[0] for entry in VALID])
def test_valid_object_is_accepted_and_loads(server, spec):
    status, body = server.create(manifest(spec))
    assert status == 201, body
    GrpcTracing.model_validate(body)


def test_defaults_of_leaves_are_written_and_parents_are_not_invented(server):
    spec = server.create(manifest())[1]["spec"]
    assert spec == {
        "kinds": ["Deployment"],
        "sampler": {"type": "parentbased_always_on"},
        "propagators": ["tracecontext", "baggage"],
        "preflight": "Auto",
    }


def test_defaults_of_given_parents_are_the_documented_ones(server):
    spec = server.create(manifest(PARENTS))[1]["spec"]
    assert {name: spec[name] for name in PARENTS} == {
        "keep": {"errors": True, "slowerThan": "1s"},
        "collector": {
            "mode": "Managed",
            "managed": {
                "replicas": 1,
                "tailSampling": {
                    "enabled": False,
                    "decisionWait": "10s",
                    "maxTraces": 50000,
                    "errors": True,
                    "slowerThan": "1s",
                    "ratio": "0.1",
                },
            },
        },
        "instrumentation": {
            "metrics": True,
            "messages": "Sizes",
            "semconv": "dup",
            "excludedServices": list(EXCLUDED_SERVICES),
        },
        "bootstrap": {"enabled": True},
        "rollout": {
            "mode": "Apply",
            "strategy": "Patch",
            "restartExisting": False,
            "maxConcurrent": 5,
            "healthTimeout": "5m",
        },
    }


def test_model_and_api_server_agree_on_every_default(server):
    stored = server.create(manifest(PARENTS))[1]
    assert GrpcTracing.model_validate(stored).spec == GrpcTracing.model_validate(manifest()).spec


def test_list_items_get_no_defaults_that_a_gitops_tool_would_report(server):
    exporters = [{"type": "otlp_grpc", "endpoint": "tempo:4317"}]
    stored = server.create(manifest({"collector": {"managed": {"exporters": exporters}}}))[1]
    assert stored["spec"]["collector"]["managed"]["exporters"] == exporters


def test_status_is_written_apart_from_spec_and_shown_in_columns(server, control_plane):
    obj = manifest({"sampler": {"type": "parentbased_traceidratio", "argument": "0.1"}}, name="shown")
    assert server.create(obj, dry_run=False)[0] == 201
    now = "2026-01-01T00:00:00Z"
    status_of = {
        "observedGeneration": 1,
        "conditions": [{"type": "Ready", "status": "True", "reason": "AllInstrumented", "message": "", "lastTransitionTime": now}],
        "counts": {"matched": 2, "instrumented": 1},
        "workloads": [{"name": "payment-service", "state": "Instrumented", "reason": "SpansSeen", "service": "payment-service", "containers": ["app"], "lastTransitionTime": now}],
    }  # fmt: skip
    code, body = server.call("PATCH", f"{OBJECTS}/shown/status", {"status": status_of}, "application/merge-patch+json")
    assert code == 200, body
    (entry,) = status_of["workloads"]
    told = status_of | {"workloads": [entry | {"kind": "Deployment"}]}
    assert body["status"] == told, "what a release wrote that knew Deployments alone"
    assert GrpcTracing.model_validate(body).status.workloads[0].containers == ("app",)
    words = [str(tool("kubectl")), "--kubeconfig", str(control_plane.kubeconfig), "get", "gtr", "shown", "--no-headers"]
    row = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert row[:5] == ["shown", "True", "2", "1", "parentbased_traceidratio"]
    assert server.call("DELETE", f"{OBJECTS}/shown")[0] == 200


def test_status_refuses_more_workloads_than_are_bounded(server):
    obj = manifest(name="bounded")
    assert server.create(obj, dry_run=False)[0] == 201
    path = f"{OBJECTS}/bounded"
    workloads = [{"name": f"w{number}", "state": "Pending"} for number in range(51)]
    code, body = server.call(
        "PATCH", f"{path}/status", {"status": {"workloads": workloads}}, "application/merge-patch+json"
    )
    assert code == 422
    assert "must have at most 50 items" in body["message"]
    assert server.call("DELETE", path)[0] == 200


def test_short_name_is_gtr(server):
    resources = server.call("GET", "/apis/grpctracing.dev/v1alpha1")[1]["resources"]
    main = next(entry for entry in resources if entry["name"] == "grpctracings")
    assert main["shortNames"] == ["gtr"]
    assert main["namespaced"]
    assert {"grpctracings/status"} <= {entry["name"] for entry in resources}
