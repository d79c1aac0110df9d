"""`compiling.py FOLDER MODULE…`: CPU milliseconds that Python takes to compile our modules, as it does at each start where no .pyc can be kept."""

from __future__ import annotations

import sys
import time
from pathlib import Path

REPEATS = 15


def best(sources: list[bytes]) -> float:
    """Return the least milliseconds that it takes to compile *sources*."""
    spent = []
    for _ in range(REPEATS):
        before = time.thread_time_ns()
        for source in sources:
            compile(source, "payload", "exec", dont_inherit=True)
        spent.append(time.thread_time_ns() - before)
    return min(spent) / 1e6


def main() -> None:
    """Print one line per file, and their sum."""
    files = sorted(Path(sys.argv[1]).glob("*.py"))
    at_once = set(sys.argv[2:])
    found = sorted(((best([file.read_bytes()]), file) for file in files), reverse=True)
    for spent, file in found:
        when = "import grpc" if file.name.removesuffix(".py") in at_once else ""
        print(f"{spent:6.2f} ms {file.stat().st_size:6d} bytes  {file.name:32s} {when}")
    first = [spent for spent, file in found if file.name.removesuffix(".py") in at_once]
    print(f"{sum(first):6.2f} ms of {sum(spent for spent, _ in found):.2f} ms are compiled when grpc is imported")


if __name__ == "__main__":
    main()
