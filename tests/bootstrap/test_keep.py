"""No failed call is lost to sampling: at a ratio of 0.01, through three services in three processes."""

from collections import defaultdict
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bootstrap.process import run, start, wait

APP = Path("chain.py")
CALLS = 1000
SAMPLER = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
WAY = [("CLIENT", "shop"), ("SERVER", "a"), ("CLIENT", "a"), ("SERVER", "b"), ("CLIENT", "b"), ("SERVER", "c")]


@contextmanager
def serving(receiver, name, stack, *following):
    server = start(APP, "serve", stack, *following, endpoint=receiver.endpoint, OTEL_SERVICE_NAME=name, **SAMPLER)
    try:
        yield server.stdout.readline().strip()
    finally:
        ended = wait(server)
    assert (ended.code, ended.err) == (0, "")


def test_every_failed_call_is_exported_by_every_service_with_the_chains_trace_id(receiver):
    with ExitStack() as stack:
        last = stack.enter_context(serving(receiver, "c", "sync"))
        middle = stack.enter_context(serving(receiver, "b", "aio", last))
        first = stack.enter_context(serving(receiver, "a", "sync", middle))
        done = run(APP, "call", first, str(CALLS), endpoint=receiver.endpoint, OTEL_SERVICE_NAME="shop", **SAMPLER)
    assert (done.out.strip(), done.err) == (str(CALLS), "")
    receiver.wait_for(lambda spans: len(spans) >= len(WAY) * CALLS)
    traces = defaultdict(dict)
    for span in receiver.spans:
        traces[span.trace][span.kind, span.service] = span
    assert (len(traces), len(receiver.spans)) == (CALLS, len(WAY) * CALLS)
    sampled = 0
    for trace, spans in traces.items():
        way = [spans[place] for place in WAY]
        assert [span.parent for span in way] == ["", *(span.id for span in way[:-1])]
        assert {(span.status, span.code) for span in way} == {("ERROR", "UNAVAILABLE")}
        (flag,) = {span.flags & 1 for span in way}
        assert {span.attributes.get("grpctracing.keep") for span in way} == {None if flag else "error"}
        # what each service got, the last one's first: written by itself into the details
        for client, header in zip(way[4::-2], way[0].message.split(), strict=True):
            version, sent, above, flags = header.split("-")
            assert (version, sent, above, int(flags, 16) & 1) == ("00", trace, client.id, flag)
        sampled += flag
    assert sampled < CALLS / 10  # ten, as a rule
