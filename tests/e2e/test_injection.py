"""What a user finds on the Deployments, and in the processes."""

import pytest

from examples.demo.scenario import OURS, containers
from examples.demo.wait import eventually
from tests.e2e.calls import AT_WORK, SAMPLED, application, only, pods_of, traces_of, tracing, unique

SCENARIO = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector:4317",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.1",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_PROPAGATORS": "tracecontext,baggage",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "rpc/dup",
}
DOWNWARD = {
    "GRPCTRACING_POD_NAME": "metadata.name",
    "GRPCTRACING_POD_UID": "metadata.uid",
    "GRPCTRACING_NODE_NAME": "spec.nodeName",
}


@pytest.mark.parametrize("name", ["payment-service", "order-service", "load-client", "payment-go"])
def test_the_containers_carry_the_environment_of_the_scenario_exactly(production, name):
    deployment = production.deployment(name)
    (container,) = containers(deployment)
    own = {"PAYMENT_UPSTREAM", "PAYMENT_SERVICES"}
    entries = {entry["name"]: entry for entry in container["env"] if entry["name"] not in own}
    values = {key: entry["value"] for key, entry in entries.items() if "value" in entry}
    fields = {
        key: entry["valueFrom"]["fieldRef"]["fieldPath"] for key, entry in entries.items() if "valueFrom" in entry
    }
    attributes = dict(pair.split("=", 1) for pair in values.pop("OTEL_RESOURCE_ATTRIBUTES").split(","))
    bootstrap = {} if name == "payment-go" else {"PYTHONPATH": "/grpctracing"}
    assert fields == DOWNWARD
    assert values == SCENARIO | {"OTEL_SERVICE_NAME": name} | bootstrap
    assert attributes == {
        "k8s.namespace.name": "production",
        "k8s.deployment.name": name,
        "k8s.container.name": container["name"],
        "k8s.pod.name": "$(GRPCTRACING_POD_NAME)",
        "k8s.pod.uid": "$(GRPCTRACING_POD_UID)",
        "k8s.node.name": "$(GRPCTRACING_NODE_NAME)",
        "service.namespace": "production",
        "service.instance.id": f"$(GRPCTRACING_POD_UID).{container['name']}",
    }


def test_the_bootstrap_is_a_read_only_mount_of_an_optional_config_map_and_only_where_python_runs(production):
    python, go = (production.deployment(name)["spec"]["template"]["spec"] for name in ("payment-service", "payment-go"))
    (volume,) = python["volumes"]
    assert (volume["configMap"]["name"], volume["configMap"]["optional"]) == ("grpctracing-default-bootstrap", True)
    assert python["containers"][0]["volumeMounts"] == [
        {"name": volume["name"], "mountPath": "/grpctracing", "readOnly": True}
    ]
    assert "volumes" not in go
    assert "volumeMounts" not in go["containers"][0]


def test_a_running_process_sees_the_resolved_values(production):
    lines = production.kubectl.exec("production", "deploy/payment-service", "env").splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    attributes = environment["OTEL_RESOURCE_ATTRIBUTES"]
    assert f"k8s.pod.name={environment['HOSTNAME']}," in attributes
    assert "$(" not in attributes


def test_instrumented_is_claimed_once_the_collector_has_seen_spans_of_the_deployment(production):
    production.load("--orders=2", environment=SAMPLED)
    names = ("payment-service", "payment-go", "order-service")
    production.wait_state({"Instrumented"}, *names, within=90)
    shown = production.kubectl("get", "gtr", "--namespace", "production")
    assert shown.split()[:5] == ["NAME", "READY", "MATCHED", "INSTRUMENTED", "SAMPLER"]


def test_a_sampler_argument_that_the_user_set_survives_and_is_what_the_process_goes_by(fresh, production, jaeger):
    name = fresh.namespace
    own = [
        {"name": "OTEL_TRACES_SAMPLER", "value": "traceidratio"},
        {"name": "OTEL_TRACES_SAMPLER_ARG", "value": "1.0"},
    ]
    fresh.kubectl.apply(*application(namespace=name, env=own), tracing(name, sampler={"type": "always_off"}))
    fresh.wait_state(AT_WORK, "payment-service")
    env = containers(fresh.deployment("payment-service"))[0]["env"]
    assert [entry for entry in env if entry["name"].startswith("OTEL_TRACES_SAMPLER")] == own
    service = unique("client")
    production.load(f"--payment=payment-service.{name}:50051", "--ok=3", service=service, environment=SAMPLED)
    traces = traces_of(
        jaeger, service, lambda found: len(found) == 3 and sum(map(len, found)) == 9, what="three calls on both sides"
    )
    assert all(only(trace, "payment-service", "server").resource["k8s.namespace.name"] == name for trace in traces)


def test_everything_of_ours_runs_in_a_namespace_that_enforces_restricted_pod_security(fresh):
    fresh.kubectl.apply(
        *application(namespace=fresh.namespace), tracing(fresh.namespace, collector={"mode": "Managed"})
    )
    fresh.wait_state(AT_WORK, "payment-service")
    fresh.wait_settled("payment-service", "otel-collector")
    owned = fresh.kubectl.items("deployments,configmaps,services,serviceaccounts", fresh.namespace, OURS)
    assert {found["kind"] for found in owned} == {"Deployment", "ConfigMap", "Service", "ServiceAccount"}


def test_a_changed_ratio_reaches_running_pods_without_a_restart(fresh, production, jaeger):
    name = fresh.namespace
    fresh.kubectl.apply(
        *application(namespace=name), tracing(name, sampler={"type": "parentbased_traceidratio", "argument": "0"})
    )
    fresh.wait_state(AT_WORK, "payment-service")
    fresh.wait_settled("payment-service")
    before = pods_of(fresh)
    service = f"payment-{name}"
    fresh.kubectl.apply(tracing(name, sampler={"type": "parentbased_traceidratio", "argument": "1"}))

    def call_without_context_is_sampled() -> bool:
        # The client has no bootstrap here, so the server's own sampler decides.
        production.load(f"--payment=payment-service.{name}:50051", "--ok=1", environment=("PYTHONPATH=",))
        found = jaeger.traces("payment-service", tags={"span.kind": "server"})
        return any(span.resource.get("k8s.namespace.name") == name for trace in found for span in trace)

    eventually(call_without_context_is_sampled, within=150, every=3, what=f"a call sampled by {service} at ratio 1")
    assert pods_of(fresh) == before
