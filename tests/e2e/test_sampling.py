"""The ratio, held against what arrives."""

import json
import threading
import time
from contextlib import contextmanager

import pytest

from examples.demo.wait import eventually
from tests.e2e.calls import AT_WORK, application, edges, pods_of, traces_of, tracing, unique

CALLS = 5_000


@pytest.mark.timeout(420, func_only=True)
def test_a_ratio_of_a_tenth_keeps_a_tenth_of_the_calls_and_both_sides_agree_on_every_trace(production, jaeger):
    service, started = unique("client"), time.time()
    summary = production.load(f"--ok={CALLS}", service=service)
    assert summary["calls"] == {"payment.ProcessPayment": {"OK": CALLS}}
    counts = []

    def no_more_arrive(found):
        counts.append(sum(map(len, found)))
        return len(counts) > 5 and counts[-1] and len(set(counts[-5:])) == 1

    traces = traces_of(jaeger, service, no_more_arrive, what="the sampled ones of the calls")
    sampled = [trace for trace in traces if not any("grpctracing.keep" in span.tags for span in trace)]
    assert 0.07 * CALLS <= len(sampled) <= 0.13 * CALLS
    assert {tuple(edges(trace)) for trace in sampled} == {
        (
            ("", "client client PaymentService/ProcessPayment"),
            ("client client PaymentService/ProcessPayment", "payment-service server PaymentService/ProcessPayment"),
            ("payment-service server PaymentService/ProcessPayment", "payment-service internal validate_payment"),
        )
    }
    served = jaeger.traces("payment-service", since=started, limit=10_000)
    assert not [edges(trace) for trace in served if any(parent == "?" for parent, _ in edges(trace))]


def test_no_slow_and_no_failed_call_is_lost_to_the_ratio(production, jaeger):
    service = unique("client")
    production.load("--slow=3", "--failing=20", service=service)
    traces = traces_of(
        jaeger,
        service,
        lambda found: len(found) == 23 and sum(map(len, found)) >= 46,
        what="23 calls that were kept or sampled",
    )
    assert all({span.kind for span in trace} >= {"client", "server"} for trace in traces)
    slow = jaeger.traces(service, longer_than="1s")
    failed = jaeger.traces(service, tags={"rpc.response.status_code": "UNAVAILABLE"})
    assert (len(slow), len(failed)) == (3, 20)


def test_a_changed_sampler_is_at_work_in_a_running_pod_without_a_restart(fresh, production, jaeger, capsys):
    service = unique("payment")
    deployment, kubernetes_service = application(namespace=fresh.namespace)
    deployment["metadata"]["annotations"]["grpctracing.dev/service-name"] = service
    never = {"sampler": {"type": "always_off"}, "keep": {"errors": False}}
    fresh.kubectl.apply(deployment, kubernetes_service, tracing(fresh.namespace, **never))
    fresh.wait_state(AT_WORK, "payment-service")
    fresh.wait_settled("payment-service")
    pods, generation = pods_of(fresh), fresh.deployment("payment-service")["metadata"]["generation"]
    (pod,) = pods

    def changed_at() -> float:
        """Return when the kubelet last replaced what is mounted (s since 1970, the node's clock and ours are one)."""
        return float(fresh.kubectl.exec(fresh.namespace, pod, "stat", "--format=%.Y", "/grpctracing/..data"))

    before = changed_at()
    with calls_all_the_time(production, f"--payment=payment-service.{fresh.namespace}:50051"):
        fresh.kubectl.apply(tracing(fresh.namespace, **{**never, "sampler": {"type": "always_on"}}))

        def refreshed() -> bool:
            # an annotation makes the kubelet look at the pod now; by itself it does so about once a minute
            note = {"metadata": {"annotations": {"test/look": unique("look")}}}
            fresh.kubectl(
                "patch", "pod", pod, "--namespace", fresh.namespace, "--type=merge", f"--patch={json.dumps(note)}"
            )
            return changed_at() > before

        eventually(refreshed, within=120, every=1, what="the new settings in the pod")
        traces = traces_of(jaeger, service, bool, what="spans after the change")
    first = min(span.start for trace in traces for span in trace if span.service == service)
    seconds = first - changed_at()
    with capsys.disabled():
        print(f"\nthe first span began {seconds:.1f} s after the file had changed in the pod")
    assert (
        0 <= seconds < 5
    )  # a second for the look at the file, another between two rounds of calls; the rest is for a busy machine
    assert pods_of(fresh) == pods
    assert fresh.deployment("payment-service")["metadata"]["generation"] == generation


@contextmanager
def calls_all_the_time(production, target):
    """Have the load client make calls, in rounds, until the end of the block."""
    over = threading.Event()

    def rounds():
        while not over.is_set():
            production.load(target, "--ok=1000")

    caller = threading.Thread(target=rounds)
    caller.start()
    try:
        yield
    finally:
        over.set()
        caller.join()
