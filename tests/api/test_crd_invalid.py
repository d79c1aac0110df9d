"""What the API server refuses, and in which words: each message names the field and the rule."""

from __future__ import annotations

from typing import Any

import pytest

from grpctracing.api import RESERVED_ENV
from tests.api.apiserver import serving
from tests.unit.api.objects import manifest

pytestmark = pytest.mark.api


@pytest.fixture(scope="module")
def server(control_plane):
    return serving(control_plane)


def managed(**fields: Any) -> dict[str, Any]:
    return {"collector": {"managed": fields}}


def external(**fields: Any) -> dict[str, Any]:
    return {"collector": {"mode": "External", "external": {"endpoint": "http://collector:4317", **fields}}}


def exporter(**fields: Any) -> dict[str, Any]:
    return managed(exporters=[{"type": "otlp_grpc", "endpoint": "tempo:4317", **fields}])


def captured(*keys: str) -> dict[str, Any]:
    return {"instrumentation": {"capturedMetadata": {"request": list(keys)}}}


REF = {"name": "secret", "key": "token"}
EXPORTERS = "spec.collector.managed.exporters[0]"

INVALID = [
    # (what is wrong, spec, field path of the error, words of the rule)
    ("unknown sampler", {"sampler": {"type": "sometimes"}}, "spec.sampler.type", "supported values"),
    ("remote sampler", {"sampler": {"type": "jaeger_remote"}}, "spec.sampler.type", "supported values"),
    ("ratio sampler without ratio", {"sampler": {"type": "traceidratio"}}, "spec.sampler.argument", "required by this sampler"),
    ("parent-based ratio without ratio", {"sampler": {"type": "parentbased_traceidratio"}}, "spec.sampler.argument", "write the ratio"),
    ("ratio above one", {"sampler": {"type": "traceidratio", "argument": "1.5"}}, "spec.sampler.argument", '"1.5" is not a ratio between 0 and 1'),
    ("ratio below zero", {"sampler": {"type": "traceidratio", "argument": "-0.1"}}, "spec.sampler.argument", '"-0.1" is not a ratio'),
    ("ratio as words", {"sampler": {"type": "traceidratio", "argument": "half"}}, "spec.sampler.argument", '"half" is not a ratio'),
    ("ratio in per cent", {"sampler": {"type": "traceidratio", "argument": "10%"}}, "spec.sampler.argument", 'write e.g. "0.1"'),
    ("empty ratio", {"sampler": {"type": "traceidratio", "argument": ""}}, "spec.sampler.argument", "is not a ratio"),
    ("ratio as a number", {"sampler": {"type": "traceidratio", "argument": 0.1}}, "spec.sampler.argument", "must be of type string"),
    ("argument where none belongs", {"sampler": {"type": "always_on", "argument": "0.1"}}, "spec.sampler.argument", "only traceidratio and parentbased_traceidratio"),
    *(
        (f"rule: {what}", {"sampler": {"rules": [rule]}}, f"spec.sampler.rules[0]{field}", says)
        for what, rule, field, says in (
            ("for nobody", {"ratio": "0.5"}, "", "say for which service or method"),
            ("without an answer", {"service": "*"}, "", "exactly one of ratio and drop"),
            ("with both answers", {"service": "*", "ratio": "0.5", "drop": True}, "", "exactly one of ratio and drop"),
            ("that drops nothing", {"service": "*", "drop": False}, "", "exactly one of ratio and drop"),
            ("ratio above one", {"service": "*", "ratio": "2"}, ".ratio", '"2" is not a ratio between 0 and 1'),
            ("ratio as a number", {"service": "*", "ratio": 0.5}, ".ratio", "must be of type string"),
            ("star in front", {"service": "*.Stock", "ratio": "0.5"}, ".service", "should match"),
            ("star inside", {"method": "Get*All", "drop": True}, ".method", "should match"),
            ("a path as the method", {"method": "/shop.Stock/Get", "drop": True}, ".method", "should match"),
        )
    ),
    ("more rules than fit", {"sampler": {"rules": [{"method": "*", "drop": True}] * 65}}, "spec.sampler.rules", "at most 64 items"),
    ("argument for the default sampler", {"sampler": {"argument": "0.1"}}, "spec.sampler.argument", "remove it"),
    ("keep bound without unit", {"keep": {"slowerThan": "1"}}, "spec.keep.slowerThan", "should match"),
    ("keep bound of zero", {"keep": {"slowerThan": "0s"}}, "spec.keep.slowerThan", '"0s" is out of bounds'),
    ("keep bound of a day", {"keep": {"slowerThan": "24h"}}, "spec.keep.slowerThan", 'write "1ms" to "1h", or Never'),
    ("keep errors as text", {"keep": {"errors": "yes"}}, "spec.keep.errors", "must be of type boolean"),
    ("unknown propagator", {"propagators": ["jaeger"]}, "spec.propagators[0]", "supported values"),
    ("no propagator", {"propagators": []}, "spec.propagators", "at least 1"),
    ("propagator twice", {"propagators": ["b3", "b3"]}, "spec.propagators[1]", "Duplicate value"),
    ("none beside others", {"propagators": ["none", "b3"]}, "spec.propagators", "none excludes the others"),
    ("unknown collector mode", {"collector": {"mode": "Sidecar"}}, "spec.collector.mode", "supported values"),
    ("External without external", {"collector": {"mode": "External"}}, "spec.collector.external", "required with mode External"),
    ("External with managed", {"collector": {"mode": "External", "external": {"endpoint": "http://c:4317"}, "managed": {}}}, "spec.collector.managed", "only with mode Managed"),
    ("Managed with external", {"collector": {"mode": "Managed", "external": {"endpoint": "http://c:4317"}}}, "spec.collector.external", "only with mode External"),
    ("external by default mode", {"collector": {"external": {"endpoint": "http://c:4317"}}}, "spec.collector.external", "set spec.collector.mode: External"),
    ("external without endpoint", {"collector": {"mode": "External", "external": {}}}, "spec.collector.external.endpoint", "Required value"),
    ("endpoint without scheme", external(endpoint="collector:4317"), "spec.collector.external.endpoint", '"collector:4317" is not a URL with http:// or https://'),
    ("endpoint with another scheme", external(endpoint="grpc://collector:4317"), "spec.collector.external.endpoint", "is not a URL"),
    ("endpoint with a password", external(endpoint="http://me:secret@collector:4317"), "spec.collector.external.endpoint", "is not a URL"),
    ("unknown protocol", external(protocol="http/json"), "spec.collector.external.protocol", "supported values"),
    ("headers without key", external(headersSecretRef={"name": "secret"}), "spec.collector.external.headersSecretRef.key", "Required value"),
    ("headers with a bad Secret name", external(headersSecretRef={"name": "My_Secret", "key": "k"}), "spec.collector.external.headersSecretRef.name", "should match"),
    ("external CA is not served yet", external(caSecretRef=REF), "spec.collector.external.caSecretRef", "not served in this release"),
    ("client certificate is not served yet", external(clientCertSecretRef=REF), "spec.collector.external.clientCertSecretRef", "not served in this release"),
    ("no replica", managed(replicas=0), "spec.collector.managed.replicas", "greater than or equal to 1"),
    ("too many replicas", managed(replicas=11), "spec.collector.managed.replicas", "less than or equal to 10"),
    ("exporter without type", managed(exporters=[{"endpoint": "tempo:4317"}]), f"{EXPORTERS}.type", "Required value"),
    ("unknown exporter", managed(exporters=[{"type": "jaeger"}]), f"{EXPORTERS}.type", "supported values"),
    ("exporter without endpoint", managed(exporters=[{"type": "otlp_grpc"}]), f"{EXPORTERS}.endpoint", "required by this type"),
    ("otlp_grpc with a scheme", exporter(endpoint="http://tempo:4317"), f"{EXPORTERS}.endpoint", "host:port without a scheme"),
    ("otlp_grpc without port", exporter(endpoint="tempo"), f"{EXPORTERS}.endpoint", "host:port"),
    ("otlp_http without scheme", exporter(type="otlp_http", endpoint="tempo:4318"), f"{EXPORTERS}.endpoint", "otlp_http takes a URL"),
    ("insecure https", exporter(type="otlp_http", endpoint="https://tempo", insecure=True), f"{EXPORTERS}.insecure", "excludes https:// and caSecretRef"),
    ("insecure with CA", exporter(insecure=True, caSecretRef=REF), f"{EXPORTERS}.insecure", "remove one of them"),
    ("debug with endpoint", managed(exporters=[{"type": "debug", "endpoint": "tempo:4317"}]), EXPORTERS, "type debug"),
    ("header with value and Secret", exporter(headers=[{"name": "a", "value": "b", "secretRef": REF}]), f"{EXPORTERS}.headers[0]", "exactly one of value and secretRef"),
    ("header with neither", exporter(headers=[{"name": "a"}]), f"{EXPORTERS}.headers[0]", "exactly one of value and secretRef"),
    ("header name with a colon", exporter(headers=[{"name": "a:", "value": "b"}]), f"{EXPORTERS}.headers[0].name", "should match"),
    ("header twice", exporter(headers=[{"name": "a", "value": "b"}, {"name": "a", "value": "c"}]), f"{EXPORTERS}.headers[1]", "Duplicate value"),
    ("no signal", exporter(signals=[]), f"{EXPORTERS}.signals", "at least 1"),
    ("unknown signal", exporter(signals=["logs"]), f"{EXPORTERS}.signals[0]", "supported values"),
    ("too many exporters", managed(exporters=[{"type": "debug"}] * 9), "spec.collector.managed.exporters", "at most 8"),
    ("resource that is none", managed(resources={"limits": {"gpu": "1"}}), "spec.collector.managed.resources.limits", "names are cpu, memory and ephemeral-storage"),
    ("quantity with a wrong unit", managed(resources={"limits": {"memory": "1 GB"}}), "spec.collector.managed.resources.limits.memory", "should match"),
    ("request above limit", managed(resources={"limits": {"memory": "1Gi"}, "requests": {"memory": "2Gi"}}), "spec.collector.managed.resources", "a request is greater than its limit"),
    ("tail ratio above one", managed(tailSampling={"ratio": "2"}), "spec.collector.managed.tailSampling.ratio", '"2" is not a ratio between 0 and 1'),
    ("tail wait too short", managed(tailSampling={"decisionWait": "10ms"}), "spec.collector.managed.tailSampling.decisionWait", '"10ms" is out of bounds'),
    ("tail memory too small", managed(tailSampling={"maxTraces": 1}), "spec.collector.managed.tailSampling.maxTraces", "greater than or equal to 100"),
    ("unknown message level", {"instrumentation": {"messages": "All"}}, "spec.instrumentation.messages", "supported values"),
    ("unknown conventions", {"instrumentation": {"semconv": "old"}}, "spec.instrumentation.semconv", "supported values"),
    ("excluded method instead of service", {"instrumentation": {"excludedServices": ["/a.B/C"]}}, "spec.instrumentation.excludedServices[0]", "should match"),
    ("captured credentials", captured("authorization"), "spec.instrumentation.capturedMetadata.request", "carry credentials"),
    *((f"captured {key}", captured(key), "spec.instrumentation.capturedMetadata.request", "carry credentials") for key in ("x-api-key", "id-token", "session_id", "db.password", "tokens")),
    ("captured credentials of an answer", {"instrumentation": {"capturedMetadata": {"response": ["set-cookie"]}}}, "spec.instrumentation.capturedMetadata.response", "never recorded"),
    ("captured cookie", captured("cookie"), "spec.instrumentation.capturedMetadata.request", "never recorded"),
    ("captured key in capitals", captured("X-Tenant"), "spec.instrumentation.capturedMetadata.request[0]", "should match"),
    ("captured binary key", captured("trace-bin"), "spec.instrumentation.capturedMetadata.request", "binary and not recorded"),
    ("resource attribute of the pod", {"resourceAttributes": {"k8s.pod.name": "x"}}, "spec.resourceAttributes", "written by the operator"),
    ("service.name for all", {"resourceAttributes": {"service.name": "x"}}, "spec.resourceAttributes", "grpctracing.dev/service-name"),
    ("attribute with a comma", {"resourceAttributes": {"a,b": "x"}}, "spec.resourceAttributes", "names are letters"),
    ("attribute value too long", {"resourceAttributes": {"a": "x" * 257}}, "spec.resourceAttributes.a", "may not be more than 256"),
    ("env that is not OTEL_", {"env": [{"name": "PATH", "value": "/"}]}, "spec.env[0].name", "names begin with OTEL_"),
    ("env of ours", {"env": [{"name": "GRPCTRACING_PINNED", "value": ""}]}, "spec.env[0].name", "names begin with OTEL_"),
    ("env in small letters", {"env": [{"name": "OTEL_bsp", "value": ""}]}, "spec.env[0].name", "names begin with OTEL_"),
    ("env twice", {"env": [{"name": "OTEL_A"}, {"name": "OTEL_A"}]}, "spec.env[1]", "Duplicate value"),
    *((f"env {name}", {"env": [{"name": name, "value": "x"}]}, "spec.env[0].name", where) for name, where in RESERVED_ENV.items()),
    ("preflight as a bare YAML boolean", {"preflight": False}, "spec.preflight", '"Auto", "Never"'),
    ("unknown rollout mode", {"rollout": {"mode": "Dry"}}, "spec.rollout.mode", "supported values"),
    ("restarts where everything is patched anyway", {"rollout": {"restartExisting": True}}, "spec.rollout.restartExisting", "only for strategy Admission"),
    ("nothing at once", {"rollout": {"maxConcurrent": 0}}, "spec.rollout.maxConcurrent", "greater than or equal to 1"),
    ("health in an instant", {"rollout": {"healthTimeout": "1s"}}, "spec.rollout.healthTimeout", 'from "10s" to "1h"'),
    ("health without unit", {"rollout": {"healthTimeout": "300"}}, "spec.rollout.healthTimeout", "should match"),
    ("label that is none", {"selector": {"matchLabels": {"a b": "c"}}}, "spec.selector.matchLabels", "not a label name"),
    ("label value that is none", {"selector": {"matchLabels": {"a": "c d"}}}, "spec.selector.matchLabels.a", "should match"),
    ("In without values", {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}, "spec.selector.matchExpressions[0].values", "In and NotIn need values"),
    ("Exists with values", {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}}, "spec.selector.matchExpressions[0].values", "take none"),
    ("unknown operator", {"selector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}, "spec.selector.matchExpressions[0].operator", "supported values"),
    ("bootstrap as text", {"bootstrap": {"enabled": "no"}}, "spec.bootstrap.enabled", "must be of type boolean"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "field", "words"), [entry[1:] for entry in INVALID], ids=[entry[0] for entry in INVALID]
)
def test_invalid_object_is_refused_with_field_and_rule(server, spec, field, words):
    status, body = server.create(manifest(spec))
    assert status == 422, body
    causes = [(cause.get("field", ""), cause["message"]) for cause in body["details"]["causes"]]
    assert any(at == field and words in message for at, message in causes), causes


def test_there_are_enough_invalid_objects():
    assert len(INVALID) >= 40


def test_name_that_owned_objects_could_not_be_made_of_is_refused(server):
    status, body = server.create(manifest(name="n" * 41))
    assert status == 422
    assert "at most 40 characters" in body["message"]
    assert server.create(manifest(name="n" * 40))[0] == 201


def test_object_without_spec_is_refused(server):
    bare = manifest()
    del bare["spec"]
    status, body = server.create(bare)
    assert status == 422
    assert "spec: Required value" in body["message"]


def test_misspelt_field_is_refused(server):
    status, body = server.create(manifest({"sampel": {}}))
    assert status == 400
    assert 'unknown field "spec.sampel"' in body["message"]
