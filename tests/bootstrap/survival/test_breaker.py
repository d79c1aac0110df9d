"""Errors of our own, in every call: the application does not notice, they are counted and told, and past the bound everything of ours is off."""

import pytest

from tests.bootstrap.core.receivers import GrpcReceiver
from tests.bootstrap.process import PAYLOAD, using_apps, wait
from tests.bootstrap.survival.test_collector import own_metrics

BROKEN = {
    "the ids": "from _grpctracing import ids; ids.bits = broken",
    "the start of a call": "pipeline.Pipeline.start = broken",
    "reading context": "pipeline.Pipeline.enabled = property(lambda _: True); from _grpctracing import propagation as p; p.SpanContext = broken",
    "the queue": "pipeline.Pipeline._put = broken",
    "the finish of a call": "pipeline.Pipeline.finish = broken",
    "the encoder": "from _grpctracing import encode; encode.SpanEncoder.batch = broken",
    "the sending": "from _grpctracing import transport_grpc as t; t.GrpcTransport.send = broken",
    "the exporter's cycle": "from _grpctracing import exporter; exporter.Exporter._cycle = broken",
    "the metrics": "from _grpctracing import metrics; metrics.Meter.fold = broken",
    "live settings": "from _grpctracing import settings; settings.File.changed = broken; pipeline._POLL_SECONDS = 0.0",
}
# a server of its own, so that both sides of the hooks are in this process
CODE = """
import os, sys
import plain
server, port = plain.serve_sync()
os.environ["ECHO"] = str(port)
from survival import *
if "_grpctracing" in sys.modules:
    sys.path.insert(0, {payload!r})
    from _grpctracing import pipeline
    sys.path.pop(0)
    def broken(*_, **__):
        raise ZeroDivisionError("a bug of ours")
    {breaking}
    call(1)
say(call(300))
plain.call_sync(port)
server.stop(None).wait()
"""


def code(breaking):
    return using_apps(CODE.format(payload=str(PAYLOAD), breaking=breaking))


@pytest.fixture(scope="module")
def without():
    """Return what the application says without us."""
    from tests.bootstrap.process import run

    return run(code("pass"), payload=None)


def test_errors_are_counted_and_told(starting):
    with GrpcReceiver() as collector:
        breaking = code(BROKEN["the queue"]).replace("call(300)", "call(20)")
        assert wait(starting(breaking, endpoint=f"http://127.0.0.1:{collector.port}")).code == 0
        assert own_metrics(collector)["internal.errors"] > 20


@pytest.mark.parametrize("place", BROKEN)
def test_a_bug_in(place, starting, without):
    ended = wait(starting(code(BROKEN[place])))
    assert (ended.code, ended.out) == (without.code, without.out), ended.err
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") <= 1


@pytest.mark.parametrize("place", ["the ids", "the queue", "the finish of a call"])
def test_past_the_bound_everything_is_off(place, starting):
    ended = wait(starting(code(BROKEN[place])))
    assert ended.err.startswith("grpctracing: switched off after 100 internal errors; the last was in ")
    assert ended.err.endswith(": ZeroDivisionError: a bug of ours\n")
