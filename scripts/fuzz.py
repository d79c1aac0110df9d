"""Fuzz the payload by coverage, with atheris: `python -m scripts.fuzz [seconds per target] [target …]`.

The targets are those of `tests/bootstrap/survival/targets.py`. Atheris lives in an environment of its own, made at the first run; each target runs in a
process of its own and keeps what it found interesting in the project's cache, so that the next run goes on from there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ATHERIS = "atheris>=2.3"  # the newest that the interpreter can have


def run(name: str, seconds: str) -> int:
    """Fuzz the target *name* in a new process; return its exit status."""
    from tests.bootstrap import interpreters

    python = interpreters.environment(sys.executable, ATHERIS)
    corpus = interpreters.CACHE / "fuzz" / name
    corpus.mkdir(parents=True, exist_ok=True)
    command = [python, __file__, "--inside", name, str(corpus)]
    limits = [f"-max_total_time={seconds}", "-max_len=600", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    found = f"-artifact_prefix={corpus.parent}/{name}-"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([*command, *limits, found], env=environ, check=False).returncode


def inside(name: str, arguments: list[str]) -> None:
    """Fuzz the target *name* in this process, for ever or as libFuzzer's *arguments* say."""
    import atheris  # lives where this function runs

    with atheris.instrument_imports(include=["_grpctracing", "tests.bootstrap.survival"]):
        from tests.bootstrap.survival import targets
    targets.quiet()
    atheris.Setup([sys.argv[0], *arguments], getattr(targets, name))
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Fuzz what is asked for, one target after the other; return how many of them found something."""
    if arguments[:1] == ["--inside"]:
        inside(arguments[1], arguments[2:])
        return 0
    from tests.bootstrap.survival import targets

    seconds, *names = arguments or ["60"]
    failed = [name for name in names or [target.__name__ for target in targets.TARGETS] if run(name, seconds)]
    print("fuzz: nothing found" if not failed else f"fuzz: found something in {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
