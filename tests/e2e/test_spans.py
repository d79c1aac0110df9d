"""What the operator says of spans, and a ratio that is raised, held against what arrives; in a namespace with a Collector of its own."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from examples.demo.wait import eventually
from tests.e2e.calls import called, only, pods_of, traces_of
from tests.e2e.watched import PATIENCE, QUIET, watched_namespace


@pytest.fixture(scope="module")
def watched(production):
    """Return a namespace in which the operator has listened for spans since the first test."""
    with watched_namespace(production) as found:
        yield found


@pytest.mark.timeout(420, func_only=True)
def test_a_ratio_that_is_raised_reaches_a_running_pod_without_a_restart(watched, production, jaeger, capsys):
    scenario, service = watched.scenario, watched.service
    pods, generation = pods_of(scenario), scenario.deployment("payment-service")["metadata"]["generation"]
    target = f"--payment=payment-service.{scenario.namespace}:50051"

    def beyond_a_tenth(trace):
        """Return the spans that a ratio of a tenth would not have recorded (OpenTelemetry specification, TraceIdRatioBased)."""
        return [span for span in trace if span.service == service and int(span.trace_id[16:], 16) >= 2**64 // 10]

    with calls_all_the_time(production, target):
        traces = traces_of(jaeger, service, lambda found: len(found) > 9, what="a tenth of the calls")
        assert not any(map(beyond_a_tenth, traces))
        applied = time.time()
        scenario.kubectl.apply(watched.object(argument="1"))
        traces = eventually(
            lambda: [each for each in jaeger.traces(service, since=applied, limit=10_000) if beyond_a_tenth(each)],
            within=200,
            every=2,
            what="calls that a tenth would have left out",
        )
    seconds = min(span.start for trace in traces for span in beyond_a_tenth(trace)) - applied
    with capsys.disabled():
        print(f"\nfrom `kubectl apply` to the first call at the new ratio: {seconds:.1f} s")
    called(production, jaeger, target, "--ok=50", calls=50, spans=150)
    assert pods_of(scenario) == pods
    assert scenario.deployment("payment-service")["metadata"]["generation"] == generation


@contextmanager
def calls_all_the_time(production, target):
    """Have the load client make calls, in rounds, until the end of the block."""
    over = threading.Event()

    def rounds():
        while not over.is_set():
            production.load(target, "--ok=200")

    caller = threading.Thread(target=rounds)
    caller.start()
    try:
        yield
    finally:
        over.set()
        caller.join()


def entry(scenario, name):
    """Return what the status says of a workload."""
    status = scenario.kubectl.get("gtr", "default", scenario.namespace)["status"]
    return next(each for each in status["workloads"] if each["name"] == name)


def test_instrumented_is_whose_present_pods_have_sent_spans(watched, production, jaeger):
    scenario = watched.scenario
    target = f"--payment=payment-service.{scenario.namespace}:50051"
    production.load(target, "--ok=200")  # of which a tenth at least is recorded
    scenario.wait_state({"Instrumented"}, "payment-service", within=120)
    assert entry(scenario, "payment-service")["reason"] == "SpansSeen"
    (trace, *_) = jaeger.traces(watched.service)
    assert only(trace, watched.service, "server").resource["k8s.pod.name"] in pods_of(scenario)


@pytest.mark.timeout(420, func_only=True)
def test_no_spans_is_said_of_who_has_sent_none_until_it_does(watched, production, jaeger):
    scenario = watched.scenario
    told = eventually(
        lambda: (found := entry(scenario, QUIET))["reason"] == "NoSpans" and found,
        within=PATIENCE + 60,
        every=1,
        what="the bound is over",
        tell=lambda: str(entry(scenario, QUIET)),
    )
    assert told["state"] == "Injected"
    assert "NetworkPolicy" in told["message"]
    assert not jaeger.traces(watched.quiet)
    production.load(f"--payment={QUIET}.{scenario.namespace}:50051", "--ok=200")
    scenario.wait_state({"Instrumented"}, QUIET, within=120)
    assert jaeger.traces(watched.quiet)
