"""The command lines of the node's components, in the words of `commands`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster import commands, node_files
from tests.cluster.packages import program
from tests.cluster.tools import tool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.commands import Layout


def node(layout: Layout) -> dict[str, list[str | Path]]:
    """Return component → command of all that runs beside etcd and the API server, in the order of their start."""
    home = layout.directory
    scheduler = layout.kubeconfig("scheduler")
    return {
        "containerd": [program("containerd"), "--config", home / "containerd.toml"],
        "controller-manager": commands.controller_manager(layout, tool("kube-controller-manager")),
        "scheduler": [
            tool("kube-scheduler"),
            f"--kubeconfig={scheduler}",
            f"--authentication-kubeconfig={scheduler}",
            f"--authorization-kubeconfig={scheduler}",
            "--secure-port=0",
            "--leader-elect=false",
        ],
        "kubelet": [
            tool("kubelet"),
            f"--config={home / 'kubelet.json'}",
            f"--kubeconfig={layout.kubeconfig('kubelet')}",
            f"--hostname-override={node_files.NODE_NAME}",
            f"--node-ip={layout.address}",
            f"--root-dir={home / 'kubelet'}",
            f"--cert-dir={layout.pki}",
        ],
        "kube-proxy": [tool("kube-proxy"), f"--config={home / 'kube-proxy.json'}"],
        "coredns": [tool("coredns"), "-conf", home / "Corefile"],
    }
