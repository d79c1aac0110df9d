"""Signals in applications that grpc is at work in: they end as they would without us, and what was traced still arrives."""

import os
import signal
import subprocess
import sys

import pytest

from tests.bootstrap.process import PAYLOAD, environment, using_apps, wait

BEGIN = "from survival import *\nimport signal, time\nsay(call(3))\n"
READY = (
    BEGIN
    + """ticks = []
def tell():
    while len(ticks) < 2: time.sleep(0.01)
    say("ready")
threads(1, tell)
"""
)
# Short sleeps: Python does not notice a signal that comes just before a long one begins, with us or without. All on one line, which tracebacks name.
LOOP = "for _ in range(1200): time.sleep(0.05), ticks.append(1)"
HOLD = LOOP + "\n"
ENDINGS = {
    "SIGTERM": (signal.SIGTERM, HOLD),
    "SIGTERM in a server that waits": (
        signal.SIGTERM,
        "import plain\nserver, _ = plain.serve_sync()\nticks += [1, 1]\nserver.wait_for_termination()\n",
    ),
    "SIGTERM in a call": (
        signal.SIGTERM,
        "ticks += [1, 1]\nwith grpc.insecure_channel('localhost:1') as c: c.unary_unary('/a.B/C')(b'', wait_for_ready=True)\n",
    ),
    "SIGTERM in asyncio": (
        signal.SIGTERM,
        "import asyncio\nasync def main():\n while True: await asyncio.sleep(0.05), ticks.append(1)\nasyncio.run(main())\n",
    ),
    "SIGTERM with a handler that exits": (
        signal.SIGTERM,
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n" + HOLD,
    ),
    "SIGTERM with a handler that raises": (
        signal.SIGTERM,
        "def stop(*_): raise RuntimeError('mine')\nsignal.signal(signal.SIGTERM, stop)\ntry:\n "
        + LOOP
        + "\nexcept RuntimeError as error: say(error)\n",
    ),
    "SIGTERM to asyncio's handler": (
        signal.SIGTERM,
        "import asyncio\nasync def main():\n stop = asyncio.Event()\n asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)\n ticks.extend((1, 1))\n await stop.wait()\n say('stopped')\nasyncio.run(main())\n",
    ),
    "SIGINT": (signal.SIGINT, HOLD),
    "SIGINT that is caught": (
        signal.SIGINT,
        "try:\n " + LOOP + "\nexcept KeyboardInterrupt: say('interrupted')\n",
    ),
    "SIGHUP": (signal.SIGHUP, HOLD),
}
# ended by the kernel, so only what was exported before is there
UNFLUSHED = {"SIGHUP"}


@pytest.mark.parametrize("how", ENDINGS)
def test_signal(how, starting, echo, receiver):
    number, code = ENDINGS[how]
    plain = starting(using_apps(READY + code), payload=None, ECHO=echo)
    delay = "50" if how in UNFLUSHED else "30000"
    ours = starting(using_apps(READY + code), endpoint=receiver.endpoint, ECHO=echo, OTEL_BSP_SCHEDULE_DELAY=delay)
    for process in (plain, ours):
        assert [process.stdout.readline(), process.stdout.readline()] == ["3\n", "ready\n"]
    if how in UNFLUSHED:
        receiver.wait_for(lambda spans: len(spans) == 3)
    for process in (plain, ours):
        process.send_signal(number)
    ended = wait(ours)
    assert ended == wait(plain)
    calls = 4 if how == "SIGTERM in a call" else 3
    assert len(receiver.wait_for(lambda spans: len(spans) >= calls and spans)) == calls


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_hanging_collector_holds_nobody_up(number, starting, echo, silent):
    process = starting(using_apps(READY + HOLD), endpoint=silent, ECHO=echo)
    assert [process.stdout.readline(), process.stdout.readline()] == ["3\n", "ready\n"]
    process.send_signal(number)
    assert wait(process, within=15).code == -number  # a second as a rule, see test_process


@pytest.mark.parametrize(
    "handler", ["", "signal.signal(signal.SIGTERM, lambda *_: say('mine'))\n"], ids=["default", "own"]
)
def test_pid_1(handler, echo, receiver):
    """The kernel ignores a SIGTERM that PID 1 does not handle: the application goes on, traced."""
    if os.geteuid():
        print("not root: no PID namespace to be had, nothing checked")
        return
    code = using_apps(
        BEGIN + handler + "assert os.getpid() == 1\nfor _ in range(2):\n os.kill(1, signal.SIGTERM)\n say(call(2))\n"
    )
    ended = []
    for payload in (None, PAYLOAD):
        done = subprocess.run(
            ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", code],
            env=environment(payload, receiver.endpoint, ECHO=echo),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        ended.append((done.returncode, done.stdout, done.stderr))
    assert ended[0] == ended[1]
    assert (ended[1][0], ended[1][2]) == (0, "")
    assert len(receiver.wait_for(lambda spans: len(spans) >= 7 and spans)) == 7
