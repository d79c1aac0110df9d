"""A real Kubernetes for the tests and the demo, from Go modules and Debian packages alone.

Two shapes: `ControlPlane` (etcd and an API server, ready in seconds, many at once, no root) and `Cluster` (a whole node with
pods, Services and DNS; one per machine, as root). Names load on first use: `check`, `status` and `down` run on a bare system
Python, before there is a virtual environment.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane
    from tests.cluster.errors import ClusterError
    from tests.cluster.machine import difference, snapshot
    from tests.cluster.node import Cluster
    from tests.cluster.tools import tool

__all__ = ["Cluster", "ClusterError", "ControlPlane", "difference", "snapshot", "tool"]

_HOMES = {
    "Cluster": "node",
    "ClusterError": "errors",
    "ControlPlane": "control_plane",
    "difference": "machine",
    "snapshot": "machine",
    "tool": "tools",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
