"""The machine as the kernel shows it: what is ours on it, and what of others would be in the way."""

from __future__ import annotations

import ipaddress
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.commands import POD_RANGE, SERVICE_RANGE
from tests.cluster.packages import installed, program
from tests.cluster.paths import STATE
from tests.cluster.processes import Process, start_time

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPONENTS = frozenset(
    {
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "containerd",
        "containerd-shim-runc-v2",
        "kubelet",
        "kube-proxy",
        "coredns",
    }
)
# On the loopback interface: there on every machine, and not reachable from outside.
NODE_ADDRESS = "10.97.0.1"
_FOREIGN_NODES = frozenset({"kubelet", "kube-proxy", "k3s", "k3s-server", "k3s-agent", "rke2", "k0s", "kubelite"})


def conflicts() -> list[str]:
    """Return why a node of ours cannot start here: another node, or a network that overlaps ours. Empty: it can."""
    strangers = {Path(words[0]).name for _, words in _command_lines() if words[0] and not is_ours(words)}
    # Where a node of ours has been started, the routes are its own.
    return [*foreign_nodes(strangers), *([] if STATE.exists() else overlaps(_routes()))]


def our_processes() -> list[Process]:
    """Return every running component that works on our state directory, recorded or not."""
    return [Process(Path(words[0]).name, pid, start_time(pid)) for pid, words in _command_lines() if is_ours(words)]


def is_ours(words: list[str]) -> bool:
    """Whether this command line is a component of our node: known by name *and* by our directory in its arguments.

    A `kubectl` or a `tail -f` of the user's names the directory too, and is nobody to end.
    """
    return bool(words) and Path(words[0]).name in COMPONENTS and any(str(STATE) in word for word in words[1:])


def cgroup_roots() -> list[Path]:
    """Return where cgroup hierarchies are mounted."""
    return [Path(target) for target, kind in mounts() if kind in {"cgroup", "cgroup2"}]


def mounts() -> list[tuple[str, str]]:
    """Return (target, file system type) of every mount, in the order they were made."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [(fields[1].replace("\\040", " "), fields[2]) for fields in map(str.split, lines)]


def foreign_nodes(running: set[str]) -> list[str]:
    """Return the complaint about node programs among the names of *running* processes, if any."""
    found = sorted(_FOREIGN_NODES & running)
    way_out = (
        "two nodes cannot share a kernel's packet filter; use another machine, or `make demo KUBECONFIG=…` on that one"
    )
    return [f"another Kubernetes node runs here ({', '.join(found)}): {way_out}"] if found else []


def overlaps(routes: list[str]) -> list[str]:
    """Return a complaint for each of *routes* (IPv4 networks) that overlaps a network of the cluster."""
    ours = [ipaddress.ip_network(text) for text in (POD_RANGE, SERVICE_RANGE)]
    theirs = [ipaddress.ip_network(route) for route in routes]
    return [
        f"the network {their} of this machine overlaps {our}, which the cluster uses: take that route away or use another machine"
        for our in ours
        for their in theirs
        if our.overlaps(their)
    ]


def _routes() -> list[str]:
    """Return the IPv4 destinations of the routing table, less the default route."""
    if not installed("ip"):
        return []  # then nobody has made a network with it either
    done = subprocess.run([program("ip"), "-4", "route", "show"], check=True, capture_output=True, text=True)
    words = [line.split()[0] for line in done.stdout.splitlines()]
    return [word for word in words if word[0].isdigit() and word != "0.0.0.0/0"]


def _command_lines() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):  # ended while we looked
            continue
        yield int(path.parent.name), words
