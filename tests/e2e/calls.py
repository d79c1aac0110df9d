"""How the end-to-end tests make calls and find their spans again: each run has a service name of its own."""

from __future__ import annotations

import copy
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from examples.demo.scenario import containers, manifests
from examples.demo.wait import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from examples.demo.jaeger import Jaeger, Span, Trace
    from examples.demo.scenario import Scenario

# The run's own choice of sampler, as a user pins it: every call of it is sampled, on the server side too.
SAMPLED = ("OTEL_TRACES_SAMPLER=always_on", "GRPCTRACING_PINNED=OTEL_TRACES_SAMPLER,OTEL_TRACES_SAMPLER_ARG")
SPANS_WITHIN = 45  # seconds from a call to its spans in Jaeger, batching of payload and Collector included


RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
AT_WORK = {"Injected", "Instrumented"}


@contextmanager
def own_namespace(scenario: Scenario) -> Iterator[Scenario]:
    """Give the scenario's tools in a namespace that nobody else uses; it is gone afterwards, whatever is in it."""
    name = unique("e2e")
    scenario.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
    yield scenario.within(name)
    scenario.kubectl("delete", "namespace", name, "--wait", "--timeout=180s", timeout=200)


def unique(word: str) -> str:
    """Return a name that no other run has."""
    return f"{word}-{uuid.uuid4().hex[:8]}"


def traces_of(
    jaeger: Jaeger, service: str, complete: Callable[[list[Trace]], Any], *, what: str, **query
) -> list[Trace]:
    """Return the traces of *service* once they are *complete*."""
    found: list[Trace] = []

    def arrived() -> bool:
        found[:] = jaeger.traces(service, limit=10_000, **query)
        return complete(found)

    eventually(
        arrived,
        within=SPANS_WITHIN,
        every=1,
        what=what,
        tell=lambda: f"{len(found)} traces: {[edges(each) for each in found[:5]]}",
    )
    return found


def called(production: Scenario, jaeger: Jaeger, *arguments: str, spans: int, calls: int = 1) -> list[Trace]:
    """Make sampled calls with the load client; return their traces once *calls* of them have *spans* spans in all."""
    service = unique("client")
    production.load(*arguments, service=service, environment=SAMPLED)
    return traces_of(
        jaeger,
        service,
        lambda found: len(found) == calls and sum(map(len, found)) == spans,
        what=f"{calls} traces with {spans} spans for {' '.join(arguments)}",
    )


def title(span: Span) -> str:
    """Return `service kind method`, the client's own unique name as `client`."""
    return (
        f"{'client' if span.service.startswith('client-') else span.service} {span.kind} {span.name.rpartition('.')[2]}"
    )


def edges(trace: Trace) -> list[tuple[str, str]]:
    """Return (parent, child) titles, sorted; a root's parent is empty, a lost parent is `?`."""
    titles = {"": ""} | {span.span_id: title(span) for span in trace}
    return sorted((titles.get(span.parent_id, "?"), title(span)) for span in trace)


def only(trace: Trace, service: str, kind: str, method: str = "") -> Span:
    """Return the one span of *trace* with this service (`client` is the load client), kind and method."""
    found = [span for span in trace if title(span).startswith(f"{service} {kind} ") and span.name.endswith(method)]
    assert len(found) == 1, f"{len(found)} spans {service} {kind} {method} in {edges(trace)}"
    return found[0]


def application(
    name: str = "payment", *, namespace: str, replicas: int = 1, inject: bool = True, **container
) -> list[dict[str, Any]]:
    """Return Deployment and Service of examples/manifests/NAME.yaml for another namespace; *container*: fields to set on its container."""
    objects = copy.deepcopy(manifests(name))
    for found in objects:
        found["metadata"]["namespace"] = namespace
        if found["kind"] == "Deployment":
            found["spec"]["replicas"] = replicas
            found["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1  # some images do not heed SIGTERM
            if inject:
                found["metadata"].setdefault("annotations", {})["grpctracing.dev/inject"] = "true"
            containers(found)[0].update(container)
    return objects


def pods_of(scenario: Scenario, name: str = "payment-service") -> dict[str, int]:
    """Return the pods of a Deployment that are there to stay, each with the number of its restarts."""
    return {
        pod["metadata"]["name"]: sum(each["restartCount"] for each in pod["status"].get("containerStatuses", ()))
        for pod in scenario.kubectl.items("pods", scenario.namespace, f"app={name}")
        if "deletionTimestamp" not in pod["metadata"]
    }


def tracing(namespace: str, **spec: Any) -> dict[str, Any]:
    """Return a GrpcTracing that sends to the Collector of production, without preflight; *spec* wins."""
    external = {"mode": "External", "external": {"endpoint": "http://otel-collector.production:4317"}}
    return {
        "apiVersion": "grpctracing.dev/v1alpha1",
        "kind": "GrpcTracing",
        "metadata": {"name": "default", "namespace": namespace},
        "spec": {"collector": external, "preflight": "Never", **spec},
    }
