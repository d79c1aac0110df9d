"""Forks before, after and under load, and what multiprocessing makes of them: nobody dies of it, and no call is told twice or not at all.

A child of a process that has used grpc may wait for ever in its first call, by grpc's own chance and without us too (seen: one fork in forty, grpcio 1.85.1). So
such children do without here, except where the question is whether they crash.
"""

import signal

import pytest

from tests.bootstrap.core.receivers import HttpReceiver
from tests.bootstrap.process import Ended, using_apps, wait


@pytest.fixture
def application(starting, echo):
    def begin(code, **options):
        return starting(
            using_apps("import os, signal, sys, threading\nfrom survival import *\n" + code), ECHO=echo, **options
        )

    return begin


def test_fork_before_the_first_call(application, receiver):
    code = "children = [forked(lambda: say(call(2))) for _ in range(3)]\nsay(call(2))\nsay(ended(children))"
    plain, ours = application(code, payload=None), application(code, endpoint=receiver.endpoint)
    plain, ours = wait(plain), wait(ours)
    assert (ours.code, ours.out, ours.err) == (0, "2\n" * 4 + "[0, 0, 0]\n", "") == (plain.code, plain.out, plain.err)
    spans = receiver.wait_for(lambda spans: len(spans) >= 8 and spans)
    assert len({span.id for span in spans}) == len({span.trace for span in spans}) == len(spans) == 8


@pytest.mark.parametrize("pause", ["", "import time; time.sleep(0.3)"], ids=["at once", "when they are exported"])
def test_fork_after_calls(application, pause):
    code = f"say(call(3))\n{pause}\nsay(ended([forked(lambda: say('child')) for _ in range(5)]))"
    with HttpReceiver() as collector:
        plain, ours = application(code, payload=None), application(code, **collector.environ())
        plain, ours = wait(plain), wait(ours)
        assert (ours.code, ours.out, ours.err) == (0, "3\n" + "child\n" * 5 + "[0, 0, 0, 0, 0]\n", "")
        assert ours == plain
        assert len(collector.received.wait_for_spans(3)) == 3


def test_fork_while_the_exporter_is_compiled(application):
    """Which takes its time where the CPU is throttled. The children have something to export, too."""
    code = """
import time
import plain
os.environ["ECHO"] = str(plain.serve_sync()[1])
keeper = sys.modules["_grpctracing"].Keeper
execute = keeper.exec_module
def slow(loader, module):
    if module.__name__ == "_grpctracing.departure": time.sleep(0.5)
    return execute(loader, module)
keeper.exec_module = slow
call()
import gc
made = next(found for found in gc.get_objects() if type(found).__name__ == "Pipeline")
def child():
    signal.alarm(20)
    record = made.settings.call(3, "/a.B/C", "", *made.start(3, "/a.B/C", None))
    record.stop(0, "")
    made.finish(record)
    made.flush(15)  # the exit itself does not wait for so long
say(ended([forked(child) for _ in range(3)]))
os._exit(0)
"""
    with HttpReceiver() as collector:
        ended = wait(application(code, **collector.environ(), GRPC_ENABLE_FORK_SUPPORT="0"))
        assert (ended.code, ended.out, ended.err) == (0, "[0, 0, 0]\n", "")
        assert [span.name for span in collector.received.spans()].count("a.B/C") == 3


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_fork_while_an_export_hangs_crashes_nobody(application, protocol, silent):
    code = """
import time
def child():
    signal.alarm(3)  # see the module's docstring
    call()
say(call(2))
time.sleep(0.3)
say(*(status for _ in range(2) for status in ended([forked(child) for _ in range(2)])))
os._exit(0)
"""
    options = {"endpoint": silent, "OTEL_BSP_SCHEDULE_DELAY": "1", "GRPC_ENABLE_FORK_SUPPORT": "1"}
    applications = [application(code, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, **options) for _ in range(3)]
    for ended in map(wait, applications):
        assert (ended.code, ended.err) == (0, "")
        _, statuses = ended.out.splitlines()
        assert set(map(int, statuses.split())) <= {0, signal.SIGALRM}


def test_fork_under_load(application):
    code = """
over = threading.Event()
made = []
def work():
    while not over.is_set():
        made.append(call(5))
callers = threads(4, work)
while len(made) < 20:
    over.wait(0.01)
statuses = ended([forked(lambda: sum(range(10000))) for _ in range(20)])
over.set()
for caller in callers:
    caller.join()
say(statuses == [0] * 20, 5 * len(made) == sum(made), sum(made))
"""
    with HttpReceiver() as collector:
        ended = wait(
            application(code, **collector.environ(), OTEL_BSP_MAX_QUEUE_SIZE="100000", GRPC_ENABLE_FORK_SUPPORT="0")
        )
        assert (ended.code, ended.out[:10], ended.err) == (0, "True True ", "")
        calls = int(ended.out.split()[2])
        spans = collector.received.wait_for_spans(calls)
        assert len({span.span_id for span in spans}) == len(spans) == calls


def test_fork_by_c_code(application, receiver):
    """As uWSGI forks: Python's hooks hear nothing of it, and it is noticed when the settings are next looked at."""
    code = """
import ctypes, time
fork = ctypes.PyDLL(None).fork
children = []
for _ in range(3):
    children.append(fork())
    if not children[-1]:
        time.sleep(1.1)
        say(call(2))
        import gc
        next(found for found in gc.get_objects() if type(found).__name__ == "Pipeline").flush(20)
        sys.exit(0)
say(ended(children))
"""
    ended = wait(application(code, endpoint=receiver.endpoint))
    assert (ended.code, ended.out, ended.err) == (0, "2\n" * 3 + "[0, 0, 0]\n", "")
    spans = receiver.wait_for(lambda spans: len(spans) >= 6 and spans)
    assert len({span.id for span in spans}) == len({span.trace for span in spans}) == len(spans) == 6


def test_fork_while_the_collector_takes_its_time(application):
    """What it has accepted is not sent again because of a fork, and no fork waits for it."""
    code = """
import time
say(call(3))
slowest = 0
for _ in range(12):
    time.sleep(0.05)
    began = time.monotonic()
    children = [forked(lambda: None)]
    slowest = max(slowest, time.monotonic() - began)
    assert ended(children) == [0]
say(slowest < 0.5)
"""
    with HttpReceiver(pause=0.6) as collector:
        process = application(code, **collector.environ(), GRPC_ENABLE_FORK_SUPPORT="0")
        assert wait(process) == Ended(0, "3\nTrue\n", "")
        spans = collector.received.spans()
        assert len({span.span_id for span in spans}) == len(spans) == 3


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method, starting, echo, receiver, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        using_apps(f"""
import multiprocessing
from survival import call
if __name__ == "__main__":
    with multiprocessing.get_context({method!r}).Pool(2) as pool:
        print(sum(pool.map(call, [3, 3, 3, 3])))
        pool.close()
        pool.join()
""")
    )
    plain = starting(program, payload=None, ECHO=echo)
    ours = starting(program, endpoint=receiver.endpoint, ECHO=echo)
    plain, ours = wait(plain), wait(ours)
    assert ours == plain
    assert (ours.code, ours.out, ours.err) == (0, "12\n", "")
    spans = receiver.wait_for(lambda spans: len(spans) >= 12 and spans)
    assert len({span.id for span in spans}) == len(spans) == 12
