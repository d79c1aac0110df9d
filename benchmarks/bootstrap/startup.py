"""Start-up: processes that import nothing, grpc, or use it, with and without an instrumentation. Wall time and CPU time, and what such a process holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .load import SAMPLED, turns
from .processes import SERVER, on

if TYPE_CHECKING:
    from .environments import Stage

_USE = """
import grpc, concurrent.futures
grpc.server(concurrent.futures.ThreadPoolExecutor(1))
grpc.insecure_channel("127.0.0.1:1")
"""
_USE_AIO = """
import asyncio, grpc.aio
async def use():
    grpc.aio.server()
    grpc.aio.insecure_channel("127.0.0.1:1")
asyncio.run(use())
"""
CODES = {
    "pass": "pass",
    "import grpc": "import grpc",
    "grpc used": _USE,
    "grpc.aio used": _USE_AIO,
}
# what a process holds at its end: most memory ever (KiB), threads, sockets
_HOLDS = """
import os, json
with open("/proc/self/status") as file: most = [int(line.split()[1]) for line in file if line.startswith("VmHWM")][0]
links = ["/proc/self/fd/" + name for name in os.listdir("/proc/self/fd")]
sockets = sum(os.path.lexists(link) and os.readlink(link).startswith("socket:") for link in links)
print(json.dumps({"most": most, "threads": len(os.listdir("/proc/self/task")), "sockets": sockets}))
"""
_LOOKS = 5


def _run(python: str, code: str, environ: dict[str, str]) -> tuple[float, float]:
    """Return (wall, CPU) milliseconds of a process that runs *code*."""
    begin = time.perf_counter()
    process = subprocess.Popen([python, "-c", code], env=environ)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{code!r} ended with {process.returncode}")
    return wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3


def measure(stage: Stage, rounds: int, endpoint: str) -> dict[str, Any]:
    """Return {code: {variant: {"wall": [ms], "cpu": [ms], "holds": [{most, threads, sockets}]}}}."""
    found: dict[str, Any] = {code: {name: {"wall": [], "cpu": [], "holds": []} for name in SAMPLED} for code in CODES}
    environs = {name: stage.environ(name, endpoint) for name in SAMPLED}
    with on(SERVER):
        for round_ in range(rounds):
            print(f"start-up: round {round_ + 1} of {rounds}", file=sys.stderr)
            for name, code in CODES.items():
                for variant in turns(SAMPLED, round_):
                    wall, cpu = _run(stage.python, code, environs[variant])
                    found[name][variant]["wall"].append(round(wall, 2))
                    found[name][variant]["cpu"].append(round(cpu, 2))
        if Path("/proc/self/status").exists():
            for name, code in CODES.items():
                for variant in SAMPLED:
                    for _ in range(min(rounds, _LOOKS)):
                        said = subprocess.run(
                            [stage.python, "-c", code + _HOLDS],
                            check=True,
                            env=environs[variant],
                            capture_output=True,
                            text=True,
                        ).stdout
                        found[name][variant]["holds"].append(json.loads(said.splitlines()[-1]))
    return found
