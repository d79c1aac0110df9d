"""What the machine was before the node came: kernel settings and directories, so that `down` can give them back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

# Written by the kubelet, kube-proxy or the network plugin at their start.
SETTINGS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
# Made by components in places that no option moves.
DIRECTORIES = (
    Path("/run/containerd"),
    Path("/var/lib/cni"),
    Path("/var/lib/kubelet"),
    Path("/var/log/containers"),
)


def record(file: Path) -> None:
    """Write the present state to *file*."""
    absent = [str(directory) for directory in DIRECTORIES if not directory.exists()]
    file.write_text(json.dumps({"boot": _boot(), "settings": settings(), "absent": absent}, indent=1))


def restore(file: Path) -> None:
    """Bring back what *file* says; kernel settings only if the machine has not been booted since, as that resets them."""
    if not file.exists():
        return
    then = json.loads(file.read_text())
    if then["boot"] == _boot():
        for name, value in settings().items():
            if then["settings"].get(name, value) != value:
                _path(name).write_text(then["settings"][name])
    for directory in map(Path, then["absent"]):
        if directory.exists():
            shutil.rmtree(directory)


def settings() -> dict[str, str]:
    """Return the value of each kernel setting that this machine has."""
    return {name: _path(name).read_text().strip() for name in SETTINGS if _path(name).exists()}


def _path(name: str) -> Path:
    return Path("/proc/sys", name)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
