"""Green threads and other event loops: the exporter's thread is a real one, so nobody's loop stands still while the Collector does."""

from pathlib import Path

import pytest

from tests.bootstrap.core.receivers import HttpReceiver
from tests.bootstrap.process import Ended, using_apps, wait

FLAGS = ("-W", "ignore")  # eventlet says that it is deprecated
UVLOOP = using_apps("""
import asyncio, sys, uvloop
import plain
sys.argv = ["plain.py", "both", "aio"]
uvloop.run(plain.aio("both", 0))
""")


@pytest.mark.parametrize("green", ["gevent", "eventlet"])
def test_green_threads(green, starting, packages, echo, receiver, silent):
    def application(**options):
        return starting(Path("survival_green.py"), green, python=packages, flags=FLAGS, ECHO=echo, **options)

    endings = map(
        wait, [application(payload=None), application(endpoint=receiver.endpoint), application(endpoint=silent)]
    )
    for ended in endings:
        assert (ended.code, ended.out, ended.err) == (0, "20 ticking\n", "")
    spans = receiver.wait_for(lambda spans: len(spans) >= 20 and spans)
    assert len({span.trace for span in spans}) == len(spans) == 20


def test_green_threads_over_http(starting, packages, echo):
    with HttpReceiver() as collector:
        options = {"python": packages, "flags": FLAGS, "ECHO": echo, **collector.environ()}
        both = [starting(Path("survival_green.py"), green, **options) for green in ("gevent", "eventlet")]
        assert [wait(process) for process in both] == [Ended(0, "20 ticking\n", "")] * 2
        assert len(collector.received.wait_for_spans(40)) == 40


def test_uvloop(starting, packages, receiver, silent):
    plain, ours, alone = (
        starting(UVLOOP, python=packages, **options)
        for options in ({"payload": None}, {"endpoint": receiver.endpoint}, {"endpoint": silent})
    )
    plain = wait(plain)
    assert plain.code == 0
    assert wait(ours) == wait(alone) == plain
    receiver.wait_for(lambda spans: len(spans) == 8)


def test_a_frozen_clock(starting, packages, echo, receiver):
    """freezegun replaces the clocks in every module it finds, ours too. (grpc itself has no deadlines then.)"""
    code = using_apps("""
import time
from freezegun import freeze_time
from survival import call
print(call(2))
with freeze_time("2001-01-01"):
    print(call(2, timeout=None), time.time())
with freeze_time("2099-01-01", tick=True):
    print(call(2, timeout=None))
print(call(2))
""")
    plain, ours = (
        starting(code, python=packages, ECHO=echo, **options)
        for options in ({"payload": None}, {"endpoint": receiver.endpoint})
    )
    plain = wait(plain)
    assert (plain.code, wait(ours)) == (0, plain)
    spans = receiver.wait_for(lambda spans: len(spans) >= 8 and spans)
    assert len(spans) == 8
    assert all(span.end >= span.start for span in spans)
