"""The state of the machine, as far as a node touches it: for the test that `down` leaves nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.cluster import before, packet_filter
from tests.cluster.host import cgroup_roots, mounts, our_processes
from tests.cluster.packages import program
from tests.cluster.paths import STATE

Snapshot = dict[str, list[str]]


def snapshot() -> Snapshot:
    """Return aspect → sorted facts: processes, mounts, interfaces, addresses, namespaces, packet filter, cgroups, settings, files."""
    facts = {
        "processes": [f"{process.name} {process.pid}" for process in our_processes()],
        "mounts": [f"{target} {kind}" for target, kind in mounts()],
        "interfaces": [path.name for path in Path("/sys/class/net").iterdir()],
        "addresses": _ip("-o", "address", "show"),
        "routes": _ip("route", "show"),
        "network namespaces": [path.name for path in Path("/run/netns").glob("*")],
        "iptables": packet_filter.rules(packet_filter.saved("iptables")),
        "ip6tables": packet_filter.rules(packet_filter.saved("ip6tables")),
        "control groups": [str(path) for root in cgroup_roots() for path in root.iterdir() if path.is_dir()],
        "kernel settings": [f"{name} = {value}" for name, value in before.settings().items()],
        "files": [str(path) for path in (*before.DIRECTORIES, STATE) if path.exists()],
    }
    return {aspect: sorted(found) for aspect, found in facts.items()}


def difference(earlier: Snapshot, later: Snapshot) -> list[str]:
    """Return one line for each fact that came or went; empty when the machine is as it was."""
    lines = []
    for aspect, facts in earlier.items():
        lines += [f"{aspect}: gone: {fact}" for fact in sorted(set(facts) - set(later[aspect]))]
        lines += [f"{aspect}: new: {fact}" for fact in sorted(set(later[aspect]) - set(facts))]
    return lines


def _ip(*words: str) -> list[str]:
    done = subprocess.run([program("ip"), *words], check=True, capture_output=True, text=True)
    # Lifetimes of leased addresses count down by themselves.
    return [line.split(" valid_lft")[0].strip() for line in done.stdout.splitlines()]
