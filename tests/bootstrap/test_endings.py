"""Every ending is told right, once, on both sides: each row of the table, for each kind of call, sync and asyncio, in each way to call and to serve."""

import json
from collections import Counter
from contextlib import ExitStack, suppress

import pytest

from tests.bootstrap.endings import document
from tests.bootstrap.endings.expect import right, span_of
from tests.bootstrap.endings.processes import launch
from tests.bootstrap.endings.table import CALLS, cells
from tests.bootstrap.process import GRPC_PRINTS, wait
from tests.bootstrap.receiver import Receiver

# "sync-other": with_call, and streams without a thread of grpc's. "aio-threads": handlers that are plain functions, and messages read and written one by one.
WAYS = {"sync": "sync", "sync-other": "sync", "aio": "aio", "aio-threads": "aio"}
HOOKS = ("internal", "public")
BOTH = [(hooks, way) for hooks in HOOKS for way in WAYS]
CELLS = [(*both, case) for both in BOTH for case in cells(CALLS, WAYS[both[1]], both[1])]


def wanted_spans(way):
    """Return how many spans the table wants of each side."""
    rows = cells(CALLS, WAYS[way], way).values()
    return {side: sum(bool(row.codes(side)) for row in rows) for side in ("CLIENT", "SERVER")}


def of_the_table(spans):
    """Return those of the *spans* that the table speaks of: some calls only hold a place."""
    return [span for span in spans if "test.Endings/" in repr(span)]


@pytest.fixture(scope="module")
def told():
    """What happened by each path and in each way: {(hooks, way): (what its application saw, what its spans say)}."""
    return {(hooks, way): found for hooks in HOOKS for way, found in run(hooks).items()}


def run(hooks):
    """Make all calls in all ways at once."""
    with ExitStack() as stack:
        running = {}
        for way, kind in WAYS.items():
            receiver = stack.enter_context(Receiver())
            process = launch(stack, f"{kind}_client.py", way, endpoint=receiver.endpoint, GRPCTRACING_HOOKS=hooks)
            process.stdin.write(json.dumps(list(cells(CALLS, kind, way))) + "\n")
            process.stdin.flush()
            running[way] = process, receiver
        found = {}
        for way, (process, receiver) in running.items():
            seen = process.stdout.readline()
            wanted = sum(wanted_spans(way).values())
            with suppress(AssertionError):  # the test of that cell says what is missing
                receiver.wait_for(lambda spans, wanted=wanted: len(of_the_table(spans)) >= wanted)
            ended = wait(process)
            assert (ended.code, GRPC_PRINTS.sub("", ended.err)) == (0, "")
            found[way] = json.loads(seen), list(receiver.spans)
        return found


@pytest.mark.parametrize(("hooks", "way"), BOTH)
def test_each_side_tells_each_call_once(told, hooks, way):
    assert Counter(span.kind for span in of_the_table(told[hooks, way][1])) == wanted_spans(way)


@pytest.mark.parametrize(("hooks", "way", "case"), CELLS)
def test_ending(told, hooks, way, case):
    seen, spans = told[hooks, way]
    row = cells(CALLS, WAYS[way], way)[case]
    client, server = right(spans, "CLIENT", case, row), right(spans, "SERVER", case, row)
    if client and server:
        assert (server.trace, server.parent) == (client.trace, client.id)
    assert seen[case] in row.views(WAYS[way], case.partition("_")[2])


@pytest.mark.parametrize(("hooks", "way"), BOTH)
def test_no_span_holds_a_secret(told, hooks, way):
    _, spans = told[hooks, way]
    assert [span.name for span in spans if "s3cr3t" in repr(span)] == []


@pytest.mark.parametrize(("hooks", "way"), BOTH)
def test_a_method_that_nobody_has_is_no_name(told, hooks, way):
    span = span_of(told[hooks, way][1], "SERVER", "Unimplemented_uu")
    assert (span.name, span.attributes["rpc.method"]) == ("grpc", "_OTHER")


@pytest.mark.parametrize("case", ["Deadline_uu", "Deadline_us", "Deadline_su", "Deadline_ss"])
@pytest.mark.parametrize(("hooks", "way"), BOTH)
def test_a_deadline_takes_as_long_as_it_is(told, hooks, way, case):
    # It is 0.5 s. A server that is short of time takes the call up later.
    for side, least in (("CLIENT", 0.4e9), ("SERVER", 0.0)):
        span = span_of(told[hooks, way][1], side, case)
        assert least < span.end - span.start < 10e9


def test_the_document_is_what_the_table_says():
    assert document.FILE.read_text(encoding="utf-8") == document.text(), "run `python -m tests.bootstrap.endings`"


def test_servers_tell_deadlines_as_such(told):
    codes = [
        span_of(spans, "SERVER", f"Deadline_{kind}").code
        for _, spans in told.values()
        for kind in ("uu", "us", "su", "ss")
    ]
    assert codes.count("DEADLINE_EXCEEDED") > len(codes) / 2, codes
