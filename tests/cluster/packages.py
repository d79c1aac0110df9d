"""Debian packages: which are missing, and how they come without starting a service."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What must be found, and the package that brings it. By program, not by package: a containerd from elsewhere is as good.
PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables-save": "iptables",
    "ip": "iproute2",
    "mount": "mount",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}
CNI_PLUGINS = ("ptp", "host-local", "loopback")
_CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_CNI_PACKAGE = "containernetworking-plugins"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POLICY = Path("/usr/sbin/policy-rc.d")


def program(name: str) -> Path:
    """Return the path of the system program *name*, also when the user's PATH lacks the sbin directories."""
    found = shutil.which(name) or shutil.which(name, path=_SYSTEM_PATH)
    if not found:
        raise ClusterError(f"{name} is missing: apt-get install {PROGRAMS.get(name, name)}")
    return Path(found)


def installed(name: str) -> bool:
    """Whether the system program *name* is there."""
    return bool(shutil.which(name) or shutil.which(name, path=_SYSTEM_PATH))


def cni_directory() -> Path | None:
    """Return the directory that holds the CNI plugins; None when there is none."""
    complete = (each for each in _CNI_DIRECTORIES if all((each / plugin).exists() for plugin in CNI_PLUGINS))
    return next(complete, None)


def missing() -> list[str]:
    """Return the packages to install."""
    absent = {package for name, package in PROGRAMS.items() if not installed(name)}
    if cni_directory() is None:
        absent.add(_CNI_PACKAGE)
    return sorted(absent)


def install(packages: list[str]) -> None:
    """Install *packages* by apt-get; no service is started, whatever their install scripts ask for."""
    if not shutil.which("apt-get"):
        raise ClusterError(f"these are missing, and there is no apt-get to install them: {', '.join(packages)}")
    print(f"installing Debian packages: {' '.join(packages)}", flush=True)
    with services_stay_down():
        _apt("update", "-qq")
        _apt("install", "-y", "-qq", "--no-install-recommends", *packages)


@contextmanager
def services_stay_down(policy: Path = _POLICY) -> Iterator[None]:
    """Have install scripts start nothing (invoke-rc.d asks *policy*; 101: not allowed), and leave the file as it was."""
    kept = policy.with_name(f"{policy.name}.before-grpctracing")
    if policy.exists() and not kept.exists():  # one that is there already was kept by a run that was killed
        policy.rename(kept)
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
        if kept.exists():
            kept.rename(policy)


def _apt(*words: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", *words], env=environment, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise ClusterError(f"apt-get {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
