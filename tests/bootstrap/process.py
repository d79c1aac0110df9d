"""Applications of the tests: each runs in a process of its own, with or without the payload."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = ROOT / "sidecar" / "payload"
APPS = Path(__file__).resolve().parent / "apps"
_NOT_OURS = ("OTEL_", "GRPCTRACING_", "PYTHON")
# What grpc.aio's server prints now and then of calls that are cut off, without the payload as well: the first in 34 of 45 processes, the second in 4 of 30.
GRPC_PRINTS = re.compile(
    r"""Traceback \(most recent call last\):
  File "\S+/aio/server\.pyx\.pxi", line \d+, in grpc\._cython\.cygrpc\._schedule_rpc_coro
asyncio\.exceptions\.CancelledError
|\S+:\d+: RuntimeWarning: coroutine 'Queue\.put' was never awaited
(?:  .*\n)?(?:RuntimeWarning: Enable tracemalloc .*\n)?"""
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def environment(payload: Path | None, endpoint: str = "", **extra: str) -> dict[str, str]:
    """Return the environment of an application: ours and Python's variables only as given here."""
    found = {key: text for key, text in os.environ.items() if not key.startswith(_NOT_OURS)}
    found |= {"GRPC_VERBOSITY": "NONE", "PYTHONDONTWRITEBYTECODE": "1"}
    if payload is not None:
        found |= {"PYTHONPATH": str(payload), "OTEL_SERVICE_NAME": "app", "OTEL_BSP_SCHEDULE_DELAY": "50"}
        found["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint or "http://127.0.0.1:1"
    return found | extra


def start(
    code: str | Path,
    *args: str,
    python: str = sys.executable,
    flags: tuple[str, ...] = (),
    payload: Path | None = PAYLOAD,
    endpoint: str = "",
    **env: str,
) -> subprocess.Popen[str]:
    """Start *code* (a file of apps/, or source text) and return the process."""
    what = [str(APPS / code)] if isinstance(code, Path) else ["-c", code]
    return subprocess.Popen(
        [python, *flags, *what, *args],
        env=environment(payload, endpoint, **env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(process: subprocess.Popen[str], within: float = 60.0) -> Ended:
    """Wait for the end of *process*."""
    try:
        out, err = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {within} s\n{out}\n{err}") from None
    return Ended(process.returncode, out, err)


def using_apps(code: str) -> str:
    """Return *code* with the modules of apps/ importable."""
    return f"import sys\nsys.path.insert(0, {str(APPS)!r})\n{code}"


def run(code: str | Path, *args: str, **options: object) -> Ended:
    """Run *code* to its end; it must succeed."""
    ended = wait(start(code, *args, **options))  # type: ignore[arg-type]
    assert ended.code == 0, ended.err + ended.out
    return ended
