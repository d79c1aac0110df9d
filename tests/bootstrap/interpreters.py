"""Other interpreters and other packages: one virtual environment for each combination, kept in the project's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(
    os.environ.get("GRPCTRACING_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grpctracing"
)


def find(version: str) -> str | None:
    """Return the path of a Python *version* ("3.8") on this machine, or None."""
    if version == "{}.{}".format(*sys.version_info):
        return sys.executable
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    if not found and made(version).exists():
        found = [made(version)]
    return str(found[-1]) if found else shutil.which(f"python{version}")


def made(version: str) -> Path:
    """Return where `debian_python` puts its Python *version*."""
    return CACHE / "pythons" / version / "usr" / "bin" / "python"


def needed(version: str) -> str:
    """Return the path of a Python *version*; the test that needs it is skipped, and says so, where this machine has none."""
    found = find(version)
    if found is None:
        import pytest

        pytest.skip(f"no Python {version} on this machine")
    return found


def environment(python: str, *requirements: str) -> str:
    """Return the interpreter of a virtual environment of *python* with *requirements* installed; made once, seconds later on."""
    about = subprocess.run(
        [python, "-c", "import sys; print(sys.version)"], check=True, capture_output=True, text=True
    ).stdout
    name = hashlib.sha256("\n".join([about, *requirements]).encode()).hexdigest()[:16]
    place = CACHE / "python" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:  # tests run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            _make(place, python, requirements)
    return str(place / "bin" / "python")


def _make(place: Path, python: str, requirements: tuple[str, ...]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    environ = {key: text for key, text in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    for command in (
        [python, "-m", "venv", str(place)],
        [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *requirements],
    ):
        done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    (place / "complete").write_text(" ".join(requirements) + "\n")
