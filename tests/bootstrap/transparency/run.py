"""Run cases, each in its own process: `python run.py NAME`, or `python run.py --fork FOLDER NAMES…`.

The second form imports grpc once and forks for every case, as gunicorn does with `--preload`: nothing of grpc runs before the fork, and a case costs what
it does, not what the imports cost. What a case writes goes to FOLDER/NAME.out and .err; how each ended is one line `NAME CODE SECONDS` on stdout.
"""

import asyncio
import inspect
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[3])  # the checkout, in the place of this folder

from tests.bootstrap.transparency import CASES  # noqa: E402 - the line above says where it is
from tests.bootstrap.transparency.bench import MissingError  # noqa: E402

AT_A_TIME = 2
PATIENCE = 60


def one(name):
    """Run the case *name* and print what it saw."""
    found = CASES[name]
    try:
        result = asyncio.run(found()) if inspect.iscoroutinefunction(found) else found()
    except MissingError as missing:
        result = {"not here": str(missing)}
    print(json.dumps(result, indent=1, default=told))


def told(thing):
    """Return what JSON has no word for: bytes as text, anything else by its type."""
    return thing.decode("latin-1") if isinstance(thing, bytes) else "a " + type(thing).__qualname__


def child(folder, name):
    """Become the process of the case *name*; return in it."""
    for number, ending in ((1, "out"), (2, "err")):
        file = os.open(str(folder / (name + "." + ending)), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.argv = [sys.argv[0], name]
    one(name)


def forks(folder, names):
    """Fork a child for each of *names*; return only in the children, and in the parent when all are over."""
    waiting, running = list(names), {}
    while waiting or running:
        while waiting and len(running) < AT_A_TIME:
            name = waiting.pop(0)
            pid = os.fork()
            if pid == 0:
                child(folder, name)
                return
            running[pid] = (name, time.monotonic())
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            name, began = running.pop(pid)
            code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
            print(name, code, "%.2f" % (time.monotonic() - began), flush=True)
            continue
        for pid, (_, began) in running.items():
            if time.monotonic() > began + PATIENCE:
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


if __name__ == "__main__":
    if sys.argv[1] == "--fork":
        forks(Path(sys.argv[2]), sys.argv[3:])
    else:
        one(sys.argv[1])
