"""What containers carry: the scenario exactly, and how a user's own variables change it."""

from __future__ import annotations

import json

import pytest

from grpctracing.injection import bootstrap_config_map, build, plan, settings_json
from grpctracing.injection.containers import Refusal
from tests.unit.injection.builders import OPT_IN, container, deployment, tracing
from tests.unit.injection.server import apply_patch, inject

RATIO = {"sampler": {"type": "parentbased_traceidratio", "argument": "0.1"}}


def injected_env(given, object_=None, name="app"):
    """name → value (or valueFrom) of one container after injection."""
    object_ = object_ or tracing(spec=RATIO)
    after = inject(given, build(given, plan(given, object_)))
    made = next(item for item in after["spec"]["template"]["spec"]["containers"] if item["name"] == name)
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in made["env"]}


def test_the_scenario_carries_exactly_this():
    assert injected_env(deployment(annotations=OPT_IN)) == {
        "GRPCTRACING_POD_NAME": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        "GRPCTRACING_POD_UID": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}},
        "GRPCTRACING_NODE_NAME": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}},
        "OTEL_SERVICE_NAME": "payment-service",
        "OTEL_RESOURCE_ATTRIBUTES": (
            "k8s.namespace.name=production,k8s.deployment.name=payment-service,k8s.container.name=app,"
            "k8s.pod.name=$(GRPCTRACING_POD_NAME),k8s.pod.uid=$(GRPCTRACING_POD_UID),"
            "k8s.node.name=$(GRPCTRACING_NODE_NAME),service.namespace=production,"
            "service.instance.id=$(GRPCTRACING_POD_UID).app"
        ),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel-collector:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
        "OTEL_PROPAGATORS": "tracecontext,baggage",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "rpc/dup",
        "PYTHONPATH": "/grpctracing",
    }


def test_a_variable_is_defined_before_it_is_referred_to():
    env = list(injected_env(deployment(annotations=OPT_IN)))
    assert env.index("GRPCTRACING_POD_UID") < env.index("OTEL_RESOURCE_ATTRIBUTES")


@pytest.mark.parametrize(
    ("given", "absent", "present"),
    [
        pytest.param(
            {"OTEL_TRACES_SAMPLER_ARG": "0.7"},
            [],
            {
                "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": "0.7",
                "GRPCTRACING_PINNED": "OTEL_TRACES_SAMPLER_ARG",
            },
            id="the user's sampler argument survives, and the live file must not override it",
        ),
        pytest.param(
            {"OTEL_TRACES_SAMPLER": "always_on"},
            ["OTEL_TRACES_SAMPLER_ARG"],
            {"OTEL_TRACES_SAMPLER": "always_on", "GRPCTRACING_PINNED": "OTEL_TRACES_SAMPLER,OTEL_TRACES_SAMPLER_ARG"},
            id="an argument of ours would change what the user's sampler does",
        ),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://mine:4318"},
            ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_HEADERS"],
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://mine:4318"},
            id="protocol and credentials never go with the user's endpoint",
        ),
        pytest.param(
            {"OTEL_RESOURCE_ATTRIBUTES": "team=blue"},
            [],
            {"OTEL_RESOURCE_ATTRIBUTES": "team=blue", "OTEL_SERVICE_NAME": "payment-service"},
            id="resource attributes of the user stay, ours travel beside them",
        ),
        pytest.param(
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=mine"},
            ["OTEL_SERVICE_NAME"],
            {},
            id="a service name inside the resource attributes is a service name",
        ),
        pytest.param({"PYTHONPATH": "/app"}, [], {"PYTHONPATH": "/grpctracing:/app"}, id="ours goes in front"),
        pytest.param({"PYTHONPATH": ""}, [], {"PYTHONPATH": "/grpctracing/"}, id="an empty PYTHONPATH is remembered"),
    ],
)
def test_what_a_user_wrote_is_the_users(given, absent, present):
    env = injected_env(deployment(annotations=OPT_IN, env=given))
    assert {name: env.get(name) for name in present} == present
    assert not set(absent) & set(env)
    if "OTEL_RESOURCE_ATTRIBUTES" in given:
        assert "k8s.pod.name=" in env["GRPCTRACING_RESOURCE_ATTRIBUTES"]


def test_names_that_come_by_envfrom_count_as_the_users():
    given = deployment(annotations=OPT_IN)
    wanted = plan(given, tracing(spec=RATIO), {"app": frozenset({"OTEL_SERVICE_NAME"})})
    assert "OTEL_SERVICE_NAME" not in {entry["name"] for entry in wanted.containers[0].env}


def test_with_bootstrap_off_there_are_only_variables():
    given = deployment(annotations={**OPT_IN, "grpctracing.dev/bootstrap": "false"})
    env = injected_env(given)
    assert "PYTHONPATH" not in env
    assert "OTEL_SERVICE_NAME" in env
    after = inject(given, build(given, plan(given, tracing(spec=RATIO))))
    assert "volumes" not in after["spec"]["template"]["spec"]


def test_switching_the_bootstrap_off_takes_the_volume_out_again():
    given = deployment(annotations=OPT_IN)
    on, off = tracing(), tracing(spec={"bootstrap": {"enabled": False}})
    injected = inject(given, build(given, plan(given, on)))
    assert injected["spec"]["template"]["spec"]["volumes"] == [
        {"name": "grpctracing-bootstrap", "configMap": {"name": "grpctracing-default-bootstrap", "optional": True}}
    ]
    after = apply_patch(injected, build(injected, plan(injected, off)))["spec"]["template"]["spec"]
    assert "volumes" not in after
    assert "volumeMounts" not in after["containers"][0]


def test_a_new_ratio_travels_live_and_restarts_nobody():
    given = deployment(annotations=OPT_IN)
    injected = inject(given, build(given, plan(given, tracing(spec=RATIO))))
    faster = tracing(spec={"sampler": {"type": "parentbased_traceidratio", "argument": "0.5"}})
    assert build(injected, plan(injected, faster)) is None
    assert json.loads(settings_json(faster))["sampler"] == {"type": "parentbased_traceidratio", "argument": "0.5"}


def test_rules_per_method_travel_live_and_restart_nobody():
    given = deployment(annotations=OPT_IN)
    injected = inject(given, build(given, plan(given, tracing())))
    rules = [
        {"service": "shop.Stock", "method": "Poll", "drop": True},
        {"method": "Get*", "ratio": "0.5", "drop": False},
        {"service": "from.another.Release"},
    ]
    ruled = tracing(spec={"sampler": {"rules": rules}})
    assert build(injected, plan(injected, ruled)) is None
    assert json.loads(settings_json(ruled))["rules"] == [
        {"service": "shop.Stock", "method": "Poll", "drop": True},
        {"service": "*", "method": "Get*", "ratio": "0.5"},
    ]


def test_a_new_ratio_reaches_containers_without_the_bootstrap_by_their_template():
    given = deployment(annotations={**OPT_IN, "grpctracing.dev/bootstrap": "false"})
    injected = inject(given, build(given, plan(given, tracing(spec=RATIO))))
    faster = tracing(spec={"sampler": {"type": "parentbased_traceidratio", "argument": "0.5"}})
    patch = build(injected, plan(injected, faster))
    assert patch is not None
    assert injected_env(injected, faster)["OTEL_TRACES_SAMPLER_ARG"] == "0.5"


def test_a_reserved_name_that_was_tampered_with_is_restored():
    given = deployment(annotations=OPT_IN)
    injected = inject(given, build(given, plan(given, tracing())))
    injected["spec"]["template"]["spec"]["containers"][0]["env"][0] = {"name": "GRPCTRACING_POD_NAME", "value": "x"}
    healed = apply_patch(injected, build(injected, plan(injected, tracing())))
    assert healed["spec"]["template"]["spec"]["containers"][0]["env"][0] == {
        "name": "GRPCTRACING_POD_NAME",
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
    }


def test_sidecars_are_left_alone():
    given = deployment(annotations=OPT_IN, containers=["app", "istio-proxy", "worker"])
    assert [item.name for item in plan(given, tracing()).containers] == ["app", "worker"]


def test_text_of_the_user_is_never_expanded_or_split():
    given = deployment(annotations={**OPT_IN, "grpctracing.dev/service-name": "a$(HOME)"})
    env = injected_env(given, tracing(spec={"resourceAttributes": {"note": "a,b=$(HOME) ü"}}))
    assert env["OTEL_SERVICE_NAME"] == "a$$(HOME)"
    assert "note=a%2Cb%3D%24%28HOME%29%20%C3%BC" in env["OTEL_RESOURCE_ATTRIBUTES"]


@pytest.mark.parametrize(
    ("given", "reason", "says"),
    [
        (
            deployment(annotations={"grpctracing.dev/containers": "app,wroker"}, containers=["app", "worker"]),
            "UnknownContainer",
            "names wroker; this Deployment has app, worker",
        ),
        (deployment(containers=["istio-proxy"]), "OnlySidecars", "istio-proxy"),
        (deployment(annotations={"grpctracing.dev/bootstrap": "yes"}), "InvalidAnnotation", '"yes"'),
        (
            deployment(env={"PYTHONPATH": {"configMapKeyRef": {"name": "c", "key": "k"}}}),
            "PythonPathFromSource",
            "plain value",
        ),
        (
            deployment(containers=[container(volumeMounts=[{"name": "data", "mountPath": "/grpctracing/"}])]),
            "MountPathTaken",
            'volume "data"',
        ),
        (
            deployment(containers=[container() | {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]),
            "DuplicateVariable",
            "only the last counts",
        ),
        (
            deployment(volumes=[{"name": "grpctracing-bootstrap", "emptyDir": {}}]),
            "VolumeNameTaken",
            "Rename it",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_way_out(given, reason, says):
    with pytest.raises(Refusal) as refused:
        plan(given, tracing())
    assert refused.value.reason == reason
    assert says in refused.value.message


def test_credentials_are_referenced_never_copied():
    external = {"endpoint": "https://c:4317", "headersSecretRef": {"name": "token", "key": "headers"}}
    env = injected_env(
        deployment(annotations=OPT_IN), tracing(spec={"collector": {"mode": "External", "external": external}})
    )
    assert env["OTEL_EXPORTER_OTLP_HEADERS"] == {
        "secretKeyRef": {"name": "token", "key": "headers", "optional": True},
    }


def test_credentials_do_not_go_to_where_the_user_sends_metrics():
    external = {"endpoint": "https://collector.example:4317", "headersSecretRef": {"name": "token", "key": "headers"}}
    object_ = tracing(spec={"collector": {"mode": "External", "external": external}})
    given = deployment(annotations=OPT_IN, env={"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://mine:4317"})
    entries = {entry["name"]: entry for entry in plan(given, object_).containers[0].env}
    assert "OTEL_EXPORTER_OTLP_HEADERS" not in entries
    assert entries["OTEL_EXPORTER_OTLP_TRACES_HEADERS"]["valueFrom"]["secretKeyRef"]["name"] == "token"


def test_the_config_map_holds_payload_and_settings_and_goes_with_its_object():
    made = bootstrap_config_map(tracing(spec=RATIO), {"sitecustomize.py": "pass\n", "_grpctracing.hook.py": ""})
    assert made["metadata"]["name"] == "grpctracing-default-bootstrap"
    assert made["metadata"]["ownerReferences"][0]["controller"] is True
    assert sorted(made["data"]) == ["_grpctracing.hook.py", "settings.json", "sitecustomize.py"]
    assert json.loads(made["data"]["settings.json"])["keep"] == {"errors": True, "slowerThan": 1.0}
