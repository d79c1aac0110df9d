"""The ratio, held against what arrives."""

import time

import pytest

from tests.e2e.calls import edges, traces_of, unique

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
