"""Ways to leave: with threads at work, past atexit, out of a handler, and with calls in exit handlers. The status is the application's, and nobody waits."""

import pytest

from tests.bootstrap.process import using_apps, wait

SETUP = "import atexit, os, sys, threading, time\nfrom survival import *\n"
EXITS = {
    "threads that call on after the main thread": (
        4 * 5,
        "def work():\n time.sleep(0.2)\n call(5)\nthreads(4, work)\n",
    ),
    "a call in an exit handler": (3, "atexit.register(lambda: say(call(2)))\nsay(call(1))\n"),
    "sys.exit with a status": (2, "say(call(2))\nsys.exit(7)\n"),
    "an exception": (2, "say(call(2))\nraise SystemError('mine')\n"),
    "an open channel, a running server": (
        2,
        "import plain\nserver, _ = plain.serve_sync()\nchannel = grpc.insecure_channel('localhost:1')\nsay(call(2))\n",
    ),
    "the last call just over": (1, "call()\n"),
}
LOSSES = {  # Python leaves at once, or in the midst of calls: what was not exported by then is gone
    "os._exit": "say(call(2))\nos._exit(4)\n",
    "os._exit while a thread calls": "threads(1, lambda: call(10 ** 6))\ntime.sleep(0.2)\nos._exit(4)\n",
    "os.abort": "say(call(2))\nos.abort()\n",
    "daemon threads at work": "for _ in range(3): threading.Thread(target=call, args=(10 ** 6,), daemon=True).start()\ntime.sleep(0.3)\nsay('over')\n",
    "os.execv": "say(call(1))\nos.execv(sys.executable, [sys.executable, '-c', 'print(2)'])\n",
}


@pytest.mark.parametrize("how", EXITS)
def test_exit(how, starting, echo, receiver, silent):
    calls, code = EXITS[how]
    code = using_apps(SETUP + code)
    plain, ours, hanging = (
        starting(code, ECHO=echo, OTEL_BSP_SCHEDULE_DELAY="30000", **options)
        for options in ({"payload": None}, {"endpoint": receiver.endpoint}, {"endpoint": silent})
    )
    plain = wait(plain)
    assert wait(ours) == wait(hanging, within=30) == plain
    assert len(receiver.wait_for(lambda spans: len(spans) >= calls and spans)) == calls


@pytest.mark.parametrize("how", LOSSES)
def test_exit_that_loses(how, starting, echo, receiver, silent):
    code = using_apps(SETUP + LOSSES[how])
    plain, ours, hanging = (
        starting(code, ECHO=echo, **options)
        for options in ({"payload": None}, {"endpoint": receiver.endpoint}, {"endpoint": silent})
    )
    plain = wait(plain)
    assert wait(ours) == wait(hanging, within=30) == plain
