"""The policy on a real API server: a pod that comes through it is the pod that a patched Deployment makes."""

from __future__ import annotations

import copy
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grpctracing.injection import build, plan, policies
from grpctracing.injection.containers import Refusal
from grpctracing.injection.select import Match, as_pod, select
from tests.api.admission import env_of, install, made, owner, pod_of, uninstall, wait_until_in_force
from tests.api.apiserver import eventually
from tests.api.rest import STRATEGIC_MERGE, Rest
from tests.unit.injection import builders
from tests.unit.injection.builders import deployments, tracing

pytestmark = pytest.mark.api

AWKWARD = """it's "quoted", 100 % $(HOME) \\ ünï & {}"""
RATIO = {"type": "parentbased_traceidratio", "argument": "0.1"}
EXTERNAL = {"endpoint": "https://collector.example:4317", "protocol": "grpc"}
SECRET = {"name": "token", "key": "headers"}
SPECS = {
    "plain": {},
    "ratio": {"sampler": RATIO, "propagators": ["b3"], "instrumentation": {"metrics": False, "semconv": "stable"}},
    "external": {"collector": {"mode": "External", "external": {**EXTERNAL, "headersSecretRef": SECRET}}},
    "variables-only": {"bootstrap": {"enabled": False}, "sampler": RATIO},
    "texts": {
        "resourceAttributes": {"team": AWKWARD},
        "env": [{"name": "OTEL_BSP_SCHEDULE_DELAY", "value": AWKWARD}, {"name": "OTEL_EMPTY", "value": ""}],
    },
    "many": {"env": [{"name": f"OTEL_EXTRA_{number}", "value": str(number)} for number in range(64)]},
}
TRACINGS = {
    name: tracing(spec={"selector": {}, "rollout": {"strategy": "Admission"}, **spec}, namespace=f"admission-{name}")
    for name, spec in SPECS.items()
}
counter = itertools.count()


def container(deployment):
    return deployment["spec"]["template"]["spec"]["containers"][0]


def add_env(deployment, *entries):
    container(deployment)["env"] = [*container(deployment).get("env", []), *entries]


def add_volume(deployment, name):
    deployment["spec"]["template"]["spec"].setdefault("volumes", []).append({"name": name, "emptyDir": {}})


def annotate(deployment, key, value):
    deployment["spec"]["template"]["metadata"]["annotations"][f"grpctracing.dev/{key}"] = value


def label(deployment, key, value):
    deployment["spec"]["template"]["metadata"]["labels"][key] = value


SOURCE = {"secretKeyRef": {"name": "secret", "key": "key"}}
# What the random Deployments do not have, and the policy has to get right all the same.
TWISTS = {
    "none": lambda d: None,
    "a service by annotation": lambda d: annotate(d, "service-name", f" {AWKWARD} "),
    "an empty annotation": lambda d: annotate(d, "service-name", " "),
    "a service by label": lambda d: label(d, "app.kubernetes.io/name", "shop"),
    "an empty label": lambda d: label(d, "app.kubernetes.io/name", ""),
    "opted out": lambda d: annotate(d, "inject", " False "),
    "another object is asked for": lambda d: annotate(d, "inject", "somebody-elses"),
    "a Collector of ours": lambda d: label(d, "app.kubernetes.io/managed-by", "grpctracing"),
    "PYTHONPATH from a Secret": lambda d: container(d).update(env=[{"name": "PYTHONPATH", "valueFrom": SOURCE}]),
    "the mount path is taken": lambda d: (
        add_volume(d, "mine"),
        container(d).setdefault("volumeMounts", []).append({"name": "mine", "mountPath": "/grpctracing/"}),
    ),
    "the volume's name is taken": lambda d: add_volume(d, "grpctracing-bootstrap"),
    "an unknown container": lambda d: annotate(d, "containers", "app,missing"),
    "no container": lambda d: annotate(d, "containers", " , "),
    "a sidecar by name": lambda d: (
        container(d).update(name="istio-proxy-2"),
        annotate(d, "containers", "istio-proxy-2"),
    ),
    "neither true nor false": lambda d: annotate(d, "bootstrap", "maybe"),
    "variables only": lambda d: annotate(d, "bootstrap", " FALSE "),
    "the bootstrap too": lambda d: annotate(d, "bootstrap", "True"),
    "variables that nobody can see": lambda d: (
        container(d).update(envFrom=[{"configMapRef": {"name": "config"}}]),
        d["spec"]["template"]["metadata"]["annotations"].pop("grpctracing.dev/containers", None),
    ),
}


@pytest.fixture(scope="module")
def rest(control_plane):
    client = Rest(control_plane)
    written = []
    for namespace in [*(t.metadata.namespace for t in TRACINGS.values()), "admission-none", "admission-several"]:
        client.ok("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for each in TRACINGS.values():
        written += policies(each, [each])
    install(client, written)
    for each in TRACINGS.values():
        wait_until_in_force(client, each)
    yield client
    uninstall(client, written)


def patched(rest, deployment, wanted):
    """The template of the Deployment, as the other strategy leaves it on this API server."""
    path = f"/apis/apps/v1/namespaces/{deployment['metadata']['namespace']}/deployments"
    body = copy.deepcopy(deployment)
    body["metadata"] = {"name": f"payment-{next(counter)}"}
    body.pop("status")
    live = rest.ok("POST", path, body)
    live["metadata"] |= {"name": deployment["metadata"]["name"]}
    patch = build(live, wanted)
    live = rest.ok("PATCH", f"{path}/{body['metadata']['name']}", patch, STRATEGIC_MERGE) if patch else live
    rest.ok("DELETE", f"{path}/{body['metadata']['name']}")
    return {**live, "metadata": deployment["metadata"]}


def expected(rest, deployment, object_):
    """The pod that the patched Deployment makes; the untouched one's where there is nothing to patch."""
    wanted = None
    if select(as_pod(deployment), [object_]).match is Match.SELECTED:
        try:
            wanted = plan(as_pod(deployment), object_, by_policy=True)
        except Refusal:
            wanted = None
    return made(rest, "admission-none", pod_of(patched(rest, deployment, wanted) if wanted else deployment))


def same(rest, deployment, object_):
    deployment["metadata"]["namespace"] = object_.metadata.namespace
    through = made(rest, object_.metadata.namespace, pod_of(deployment))
    assert through["spec"] == expected(rest, deployment, object_)["spec"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(deployment=deployments(), twist=st.sampled_from(sorted(TWISTS)), object_=st.sampled_from(sorted(TRACINGS)))
def test_a_pod_through_the_policy_is_the_pod_of_the_patched_deployment(rest, deployment, twist, object_):
    template = deployment["spec"]["template"]
    template["metadata"]["annotations"] = {**deployment["metadata"]["annotations"]}
    TWISTS[twist](deployment)
    same(rest, deployment, TRACINGS[object_])


@pytest.mark.parametrize("twist", TWISTS)
@pytest.mark.parametrize("object_", ["ratio", "variables-only"])
def test_special_cases_too(rest, twist, object_):
    deployment = made_of(annotations={"grpctracing.dev/inject": "true"}, containers=["app", "istio-proxy"])
    TWISTS[twist](deployment)
    same(rest, deployment, TRACINGS[object_])


def made_of(*, annotations=None, **parts):
    """A Deployment whose annotations are where a policy sees them."""
    return builders.deployment(template_annotations=annotations, **parts)


VARIABLES = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "PYTHONPATH",
]


@pytest.mark.parametrize("object_", ["ratio", "external"])
def test_what_a_user_sets_decides_the_same(rest, object_):
    pairs = [(one, other) for one in VARIABLES for other in VARIABLES if one <= other]
    for one, other in pairs:
        env = dict.fromkeys([one, other, "Z"], "service.name=mine")
        deployment = made_of(env=env)
        deployment["metadata"]["namespace"] = f"admission-{object_}"
        wanted = plan(as_pod(deployment), TRACINGS[object_])
        there = env_of(made(rest, f"admission-{object_}", pod_of(deployment)))
        assert list(there) == order(env, wanted.containers[0].env), f"with {one} and {other}"
        assert there | env == there or "PYTHONPATH" in env


def order(env, ours):
    return list(dict.fromkeys([*env, *(entry["name"] for entry in ours)]))


@pytest.mark.parametrize(
    ("metadata", "service", "attribute"),
    [
        ({"ownerReferences": [owner("ReplicaSet", "shop-5d5f")], "labels": {"pod-template-hash": "5d5f"}}, "shop", "k8s.deployment.name=shop"),
        ({"ownerReferences": [owner("ReplicaSet", "shop-5d5f")]}, "shop-5d5f", "k8s.replicaset.name=shop-5d5f"),
        ({"ownerReferences": [owner("StatefulSet", "shop")], "labels": {"pod-template-hash": "shop"}}, "shop", "k8s.statefulset.name=shop"),
        ({"ownerReferences": [owner("DaemonSet", "shop")]}, "shop", "k8s.daemonset.name=shop"),
        ({"ownerReferences": [owner("Job", "import-20260101")]}, "import-20260101", "k8s.job.name=import-20260101"),
        ({"ownerReferences": [owner("Job", "import-29411040")]}, "import", "k8s.cronjob.name=import,k8s.job.name=import-29411040"),
        ({"ownerReferences": [{**owner("ReplicaSet", "not-it"), "controller": False}], "name": "bare"}, "bare", ""),
        ({"ownerReferences": [owner("Workflow", "a-b")]}, "a-b", ""),
        ({"name": "bare"}, "bare", ""),
        ({"generateName": "bare-"}, "bare", ""),
        ({"generateName": "b-a-r-e"}, "b-a-r-e", ""),
        ({"ownerReferences": [owner("StatefulSet", "shop")], "labels": {"app.kubernetes.io/name": "named"}}, "named", "k8s.statefulset.name=shop"),
        ({"name": "bare", "annotations": {"grpctracing.dev/service-name": "$(X)"}}, "$$(X)", ""),
    ],
)  # fmt: skip
def test_pods_of_every_kind_are_named_after_what_made_them(rest, metadata, service, attribute):
    metadata = {"generateName": "pod-"} | metadata if "name" not in metadata else metadata
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "app", "image": "x"}]}}
    env = env_of(made(rest, "admission-plain", pod))
    assert env["OTEL_SERVICE_NAME"] == service
    before, comma = "k8s.namespace.name=admission-plain,", "," if attribute else ""
    assert env["OTEL_RESOURCE_ATTRIBUTES"].startswith(f"{before}{attribute}{comma}k8s.container.name=app,")


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_a_pod_of_another_kind_gets_what_the_patch_of_that_kind_gives(rest, kind):
    workload = made_of(env={"Z": "1"}) | {"kind": kind}
    workload["metadata"]["namespace"] = "admission-ratio"
    wanted = plan(as_pod(workload), TRACINGS["ratio"])
    pod = pod_of(workload)
    pod["metadata"] |= {"ownerReferences": [owner(kind, workload["metadata"]["name"])], "labels": {}}
    given = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in wanted.containers[0].env}
    assert env_of(made(rest, "admission-ratio", pod)) == {"Z": "1"} | given


def test_an_older_object_that_patches_keeps_the_kinds_that_it_is_for_and_no_others(rest):
    rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "admission-mixed"}})
    older = {"namespace": "admission-mixed", "creationTimestamp": "2026-01-01T00:00:00Z"}
    younger = older | {"creationTimestamp": "2026-01-02T00:00:00Z"}
    patching = tracing("patching", spec={"selector": {}, "kinds": ["Deployment", "StatefulSet"]}, **older)
    admitting = tracing("admitting", spec={"selector": {}, "rollout": {"strategy": "Admission"}}, **younger)
    written = policies(admitting, [patching, admitting])
    install(rest, written)
    wait_until_in_force(rest, admitting)
    for kind, owner_kind in {
        "Deployment": "ReplicaSet",
        "StatefulSet": "StatefulSet",
        "DaemonSet": "DaemonSet",
    }.items():
        workload = made_of() | {"kind": kind}
        pod = pod_of(workload)
        pod["metadata"]["ownerReferences"] = [owner(owner_kind, "shop")]
        chosen = select(as_pod(workload), [patching, admitting]).tracing
        assert (chosen is admitting) is bool(env_of(made(rest, "admission-mixed", pod))) is (kind == "DaemonSet")
    uninstall(rest, written)


def test_variables_that_nobody_can_see_keep_a_container_out_until_it_is_named(rest):
    source = {"envFrom": [{"secretRef": {"name": "secret"}}]}
    deployment = made_of(containers=[builders.container("app", **source), builders.container("web")])
    pod = made(rest, "admission-plain", pod_of(deployment))
    assert not env_of(pod, 0)
    assert env_of(pod, 1)["PYTHONPATH"] == "/grpctracing"
    annotate(deployment, "containers", "app")
    pod = made(rest, "admission-plain", pod_of(deployment))
    # The kubelet puts in what the Secret says; where it says nothing, this names a folder that is not there.
    assert env_of(pod, 0)["PYTHONPATH"] == "/grpctracing:$(PYTHONPATH)"
    assert not env_of(pod, 1)


def test_a_variable_that_is_there_twice_stays_where_it_is(rest):
    deployment = made_of()
    twice = [("A", "1"), ("PYTHONPATH", "/a"), ("A", "2"), ("PYTHONPATH", "/b")]
    add_env(deployment, *({"name": name, "value": value} for name, value in twice))
    pod = made(rest, "admission-plain", pod_of(deployment))
    entries = [(entry["name"], entry.get("value")) for entry in pod["spec"]["containers"][0]["env"]]
    assert entries[:4] == [("A", "1"), ("PYTHONPATH", "/grpctracing:/a"), ("A", "2"), ("PYTHONPATH", "/grpctracing:/b")]
    assert len(entries) > 10


def test_a_pod_of_any_size_is_no_matter(rest):
    env = {f"VARIABLE_{number}": "x" for number in range(1000)}
    deployment = made_of(containers=[builders.container(f"c{number}", env=env) for number in range(8)])
    pod = made(rest, "admission-many", pod_of(deployment))
    assert all(len(env_of(pod, number)) > 1070 for number in range(8))


def test_init_containers_and_static_pods_are_left_alone(rest):
    deployment = made_of()
    deployment["spec"]["template"]["spec"]["initContainers"] = [{"name": "init", "image": "x"}]
    pod = made(rest, "admission-plain", pod_of(deployment))
    assert "env" not in pod["spec"]["initContainers"][0]
    static = {"name": "static", "annotations": {"kubernetes.io/config.mirror": "x"}}
    spec = {"nodeName": "node", "containers": [{"name": "app", "image": "x"}]}
    assert not env_of(made(rest, "admission-plain", {"metadata": static, "spec": spec}))


def test_a_pod_that_carries_it_already_is_left_alone(rest):
    """Reinvoked, through a second policy, or patched: once is enough."""
    object_ = TRACINGS["ratio"]
    again = copy.deepcopy(policies(object_, [object_]))
    for obj in again:
        obj["metadata"]["name"] = "again." + obj["metadata"]["name"]
    again[0]["spec"]["reinvocationPolicy"] = "IfNeeded"
    again[1]["spec"]["policyName"] = again[0]["metadata"]["name"]
    deployment = made_of(env={"PYTHONPATH": "/lib"})
    once = made(rest, "admission-ratio", pod_of(deployment))
    tell_tale(again, "team", "seen")
    install(rest, again)
    try:
        eventually(
            lambda: made(rest, "admission-ratio", pod_of(deployment))["metadata"]["labels"].get("team") == "seen"
        )
        assert made(rest, "admission-ratio", pod_of(deployment))["spec"] == once["spec"]
    finally:
        uninstall(rest, again)
    kept = {"generateName": "copy-"}
    assert made(rest, "admission-ratio", {"metadata": kept, "spec": once["spec"]})["spec"] == once["spec"]


def tell_tale(objects, key, value):
    """Have a policy say that it was there: a label besides, whatever the rest of it does."""
    del objects[0]["spec"]["matchConditions"][2]  # without "not-injected": it has to find out by itself
    mark = f'[JSONPatch{{op: "add", path: "/metadata/labels/{key}", value: "{value}"}}]'
    objects[0]["spec"]["mutations"].append({"patchType": "JSONPatch", "jsonPatch": {"expression": mark}})


LABELS = st.dictionaries(st.sampled_from(["tier", "team"]), st.sampled_from(["", "backend", "web"]))
WISHES = st.sampled_from(["", "true", "TRUE ", "false", "first", "second", "third", "nobody"])
SELECTORS = [
    None,
    {},
    {"matchLabels": {"tier": "backend"}},
    {"matchLabels": {"tier": ""}},
    {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "backend"]}]},
    {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]},
    {"matchExpressions": [{"key": "team", "operator": "Exists"}, {"key": "tier", "operator": "DoesNotExist"}]},
]


@pytest.fixture(scope="module", params=[(0, 2, 4), (2, 4, 5), (1, 2, 6), (3, 6, 5)], ids=str)
def several(rest, request):
    """Three objects in one namespace, by their selectors; the youngest is the first by name."""
    ages = zip(("third", "second", "first"), request.param, strict=True)
    objects = [
        tracing(
            name,
            spec={"selector": SELECTORS[number], "rollout": {"strategy": "Admission"}},
            namespace="admission-several",
            creationTimestamp=f"2026-01-0{day}T00:00:00Z",
        )
        for day, (name, number) in enumerate(ages, 1)
    ]
    written = [obj for each in objects for obj in policies(each, objects)]
    install(rest, written)
    for each in objects:
        wait_until_in_force(rest, each)
    yield objects
    uninstall(rest, written)
    eventually(lambda: not any(owner_of(rest, {}, name) for name in ("first", "second", "third")))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(labels=LABELS, wish=WISHES)
def test_a_pod_belongs_to_the_object_that_a_deployment_would_belong_to(rest, several, labels, wish):
    annotations = {"grpctracing.dev/inject": wish} if wish else {}
    selection = select(made_of_labels(labels, annotations), several)
    wanted = selection.tracing.metadata.name if selection.match is Match.SELECTED else None
    assert owner_of(rest, labels, wish) == wanted


def made_of_labels(labels, annotations):
    return as_pod(builders.deployment(template_annotations=annotations) | labelled(labels, annotations))


def labelled(labels, annotations):
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": []}}
    return {"spec": {"template": template}}


def owner_of(rest, labels, wish):
    """The object whose policy took a pod."""
    annotations = {"grpctracing.dev/inject": wish} if wish else {}
    pod = {
        "metadata": {"name": "pod", "labels": labels, "annotations": annotations},
        "spec": {"containers": [{"name": "app", "image": "x"}]},
    }
    volumes = made(rest, "admission-several", pod)["spec"].get("volumes", [])
    names = [volume["configMap"]["name"].removeprefix("grpctracing-").removesuffix("-bootstrap") for volume in volumes]
    assert len(names) <= 1
    return names[0] if names else None
