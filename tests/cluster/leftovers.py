"""Everything of a node goes: the same way after `down`, after a crash, after kill -9, after a reboot.

Nothing here asks a component to clean up after itself, since after a crash there is none to ask. Containers end by their
control groups, mounts by our directory, packet filter rules by their names; each step is fine to repeat.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster import before, packet_filter
from tests.cluster.commands import POD_RANGE
from tests.cluster.errors import ClusterError
from tests.cluster.host import NODE_ADDRESS, cgroup_roots, mounts, our_processes
from tests.cluster.packages import installed, program
from tests.cluster.paths import STATE
from tests.cluster.processes import stop

if TYPE_CHECKING:
    from collections.abc import Callable

_PODS = "kubepods"
_PATIENCE = 15.0
# Who would start again what we end goes first; the store that others wait for goes last.
_ORDER = (
    "kubelet",
    "containerd",
    "containerd-shim-runc-v2",
    "kube-proxy",
    "coredns",
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
)


def exist() -> bool:
    """Whether anything of a node is there, running or not."""
    return STATE.exists() or bool(our_processes())


def tear_down() -> None:
    """Remove all of it. Our state directory is the licence: without it the machine's pods are not ours to end."""
    if not exist():
        return
    sockets = _shim_sockets()
    for name in _ORDER:
        stop([process for process in our_processes() if process.name == name])
        if name == "containerd":  # nobody can start containers any more, and their shims still reap them
            _end_containers()
    _unmount()
    _remove_network()
    _remove_cgroups()
    for socket in sockets:
        socket.unlink(missing_ok=True)
    before.restore(STATE / "before.json")
    if STATE.exists():
        shutil.rmtree(STATE)


def pod_cgroups() -> list[Path]:
    """Return the directories of the kubelet's pods in all cgroup hierarchies, deepest first."""
    tops = [root / _PODS for root in cgroup_roots() if (root / _PODS).is_dir()]
    return [Path(path) for top in tops for path, _, _ in os.walk(top, topdown=False)]


def _end_containers() -> None:
    _eventually("containers end", _kill_containers)


def _kill_containers() -> bool:
    pids = {int(pid) for group in pod_cgroups() for pid in _members(group)}
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it ended while we looked
    return not pids


def _members(group: Path) -> list[str]:
    try:
        return (group / "cgroup.procs").read_text().split()
    except (FileNotFoundError, OSError):  # removed while we looked, or a threaded group of cgroup v2
        return []


def _unmount() -> None:
    _eventually("file systems unmount", _try_unmount)


def _try_unmount() -> bool:
    ours = [target for target, _ in mounts() if target.startswith(f"{STATE}/")]
    for target in reversed(ours):  # made later means deeper
        subprocess.run([program("umount"), target], check=False, capture_output=True)
    return not ours


def _remove_network() -> None:
    packet_filter.clean()
    if not installed("ip"):
        return
    if NODE_ADDRESS in _ip("-4", "-o", "address", "show", "dev", "lo"):
        _ip("address", "del", f"{NODE_ADDRESS}/32", "dev", "lo")
    # The kernel removes a network namespace, and with it the pod's interfaces, a moment after its last user.
    _eventually("pod interfaces go", lambda: not _ip("-4", "route", "show", "root", POD_RANGE))


def _ip(*words: str) -> str:
    return subprocess.run([program("ip"), *words], check=True, capture_output=True, text=True).stdout


def _remove_cgroups() -> None:
    _eventually("control groups go", _try_remove_cgroups)


def _try_remove_cgroups() -> bool:
    busy = False
    for group in pod_cgroups():
        try:
            group.rmdir()
        except OSError:  # a process of it is still being reaped
            busy = True
    return not busy


def _shim_sockets() -> list[Path]:
    """Return the sockets of our shims, which lie in a directory that all containerds of the machine share."""
    addresses = (STATE / "containerd" / "state").glob("io.containerd.runtime.v2.task/*/*/address")
    return [Path(address.read_text().strip().removeprefix("unix://")) for address in addresses]


def _eventually(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise ClusterError(
                f"cleaning up: {what}: not within {_PATIENCE:.0f} s; `python -m tests.cluster down` tries again"
            )
        time.sleep(0.1)
