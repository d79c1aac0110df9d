"""What the machine must have, told before the work starts: every lack with the way out, in one go.

Runs on the system Python, before there is a virtual environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.cluster import host, packages
from tests.cluster.errors import ClusterError
from tests.cluster.paths import cache
from tests.cluster.tools import go

GO = (1, 26)
_GIB = 2**30
_DISK_COLD = 15  # GiB: modules, build cache, binaries, images
_DISK_WARM = 4
_MEMORY = 3  # GiB: linking the API server takes 2.6, the cluster with the demo about as much


def check() -> None:
    """Return when the machine can carry the cluster, with missing packages installed; else raise with all that is wrong."""
    problems = [problem for problem in (_linux(), _root(), _go(), _disk(), _memory(), *host.conflicts()) if problem]
    if problems:
        raise ClusterError("this machine is not ready:\n" + "\n".join(f"  - {problem}" for problem in problems))
    absent = packages.missing()
    if absent:
        packages.install(absent)
        absent = packages.missing()
        if absent:
            raise ClusterError(f"still missing after apt-get install: {', '.join(absent)}")
    if problem := _packet_filter():
        raise ClusterError(problem)


def _linux() -> str:
    return "" if sys.platform == "linux" else f"Linux is needed, this is {sys.platform}: use a virtual machine"


def _root() -> str:
    return "" if os.getuid() == 0 else "root is needed for containers and their network: run `sudo make …`"


def _go() -> str:
    try:
        text = subprocess.run([go(), "version"], check=True, capture_output=True, text=True).stdout
    except ClusterError as error:
        return str(error)
    version = go_version(text)
    wanted = ".".join(map(str, GO))
    return "" if version >= GO else f"Go {wanted} or newer is needed, found {text.strip()}: https://go.dev/dl"


def go_version(text: str) -> tuple[int, ...]:
    """Return major and minor of what `go version` printed."""
    found = re.search(r"go(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else (0, 0)


def _disk() -> str:
    warm = (cache() / "tools").exists() and (cache() / "images").exists()
    wanted = _DISK_WARM if warm else _DISK_COLD
    free = shutil.disk_usage(cache()).free / _GIB
    way_out = "free some, or set GRPCTRACING_CACHE to a directory on a larger disk"
    return "" if free >= wanted else f"{wanted} GiB of disk are needed at {cache()}, {free:.1f} are free: {way_out}"


def _memory() -> str:
    text = Path("/proc/meminfo").read_text() if sys.platform == "linux" else ""
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    available = int(found.group(1)) * 1024 / _GIB if found else _MEMORY
    return "" if available >= _MEMORY else f"{_MEMORY} GiB of free memory are needed, {available:.1f} are available"


def _packet_filter() -> str:
    done = subprocess.run([packages.program("iptables-save"), "-t", "nat"], check=False, capture_output=True, text=True)
    return "" if done.returncode == 0 else f"the kernel has no NAT tables, which Services need: {done.stderr.strip()}"
