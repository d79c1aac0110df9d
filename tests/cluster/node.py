"""A whole Kubernetes node on this machine: one at a time, left running when the command that started it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING

from tests.cluster import (
    before,
    commands,
    containerd,
    host,
    leftovers,
    node_commands,
    node_files,
    packet_filter,
)
from tests.cluster.commands import API_SERVICE_ADDRESS, Layout
from tests.cluster.errors import ClusterError
from tests.cluster.locks import locked
from tests.cluster.packages import cni_directory, program
from tests.cluster.paths import RUN_LOCK, STATE, cache
from tests.cluster.processes import Process, load, save, spawn, wait_until
from tests.cluster.tools import tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.cluster.api import Api

_LAYOUT = Layout(STATE, host.NODE_ADDRESS, 6443, 2379, 2380)
_RECORD = STATE / "processes.json"
_BUSY = "the cluster is being started or stopped right now"


class Cluster:
    """The node of this machine. Every method looks at the machine, so any number of these objects speak of the same node."""

    def __init__(self) -> None:
        self.kubeconfig: Path = _LAYOUT.kubeconfig("admin")

    def up(self, report: Callable[[str], None] = print) -> None:
        """Start the node, or find it running; what an earlier one left is cleaned first. Needs root."""
        if os.getuid() != 0:
            raise ClusterError("root is needed for containers and their network")
        with locked(RUN_LOCK, refuse=_BUSY):
            if self.running():
                report(f"the cluster is up already: export KUBECONFIG={self.kubeconfig}")
                return
            started = time.monotonic()
            self._clear(report)
            try:
                self._start(report)
            except BaseException:
                report(f"starting failed; the logs are in {_keep_logs()}")
                leftovers.tear_down()
                raise
            report(f"the cluster is up after {time.monotonic() - started:.0f} s: export KUBECONFIG={self.kubeconfig}")

    def down(self, report: Callable[[str], None] = print) -> None:
        """Stop the node and leave the machine as it was before."""
        if not leftovers.exist():
            report("no cluster is running")
            return
        if os.getuid() != 0:
            raise ClusterError("root is needed to stop the cluster")
        with locked(RUN_LOCK, refuse=_BUSY):
            started = time.monotonic()
            leftovers.tear_down()
            report(f"the cluster is gone after {time.monotonic() - started:.0f} s")

    def running(self) -> bool:
        """Whether every component of the node runs."""
        processes = load(_RECORD)
        return bool(processes) and all(process.alive for process in processes) and self.kubeconfig.exists()

    def processes(self) -> list[Process]:
        """Return the recorded components."""
        return load(_RECORD)

    def load(self, *references: str, report: Callable[[str], None] = print) -> None:
        """Put the images named *references* (all of the project's, if none) into the node, built first if need be."""
        from tests.cluster.images import IMAGES, archive

        if not self.running():
            raise ClusterError("no cluster is running: `python -m tests.cluster up`")
        for reference in references or tuple(IMAGES):
            file = archive(reference)
            mark = STATE / "loaded" / file.name  # a name holds the hash of its content
            if mark.exists():
                continue
            started = time.monotonic()
            containerd.import_archive(node_files.containerd_socket(_LAYOUT), file)
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
            report(f"loaded {reference} in {time.monotonic() - started:.1f} s")

    def log(self, component: str) -> Path:
        """Return the log file of *component*."""
        return _LAYOUT.log(component)

    def _clear(self, report: Callable[[str], None]) -> None:
        problems = host.conflicts()
        if problems:
            raise ClusterError("\n".join(problems))
        if leftovers.exist():
            report("cleaning what an earlier cluster left")
            leftovers.tear_down()

    def _start(self, report: Callable[[str], None]) -> None:
        plugins = cni_directory()
        if plugins is None:
            raise ClusterError("the CNI plugins are missing: apt-get install containernetworking-plugins")
        for binary in ("etcd", "kube-apiserver", "coredns", "pause"):
            tool(binary)  # builds, if there is anything to build, before the machine is touched
        STATE.mkdir(mode=0o711, parents=True)
        before.record(STATE / "before.json")
        node_files.write_all(_LAYOUT, plugins)
        _prepare_network()
        api = _credentials()
        processes: list[Process] = []
        _spawn(processes, "etcd", commands.etcd(_LAYOUT, tool("etcd")))
        server = commands.api_server(_LAYOUT, tool("kube-apiserver"), node=True, controllers=True)
        _spawn(processes, "apiserver", server)
        rest = node_commands.node(_LAYOUT)
        _spawn(processes, "containerd", rest.pop("containerd"))
        self._import_pause(processes)
        wait_until("the API server is ready", api.ready, processes, _LAYOUT.log("apiserver"))
        report("the API server is ready")
        for path, manifest in node_files.dns_manifests(_LAYOUT).items():
            api.apply(path, manifest)
        for name, command in rest.items():
            _spawn(processes, name, command)
        wait_until("the node is Ready", lambda: _node_ready(api), processes, _LAYOUT.log("kubelet"), within=120)
        report("the node is Ready")
        wait_until("the cluster's DNS is ready", _dns_ready, processes, _LAYOUT.log("coredns"))
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        controllers = _LAYOUT.log("controller-manager")
        wait_until("service accounts are there", lambda: api.get(account) is not None, processes, controllers)

    def _import_pause(self, processes: Iterable[Process]) -> None:
        socket = node_files.containerd_socket(_LAYOUT)
        wait_until("containerd serves", lambda: containerd.serves(socket), processes, _LAYOUT.log("containerd"))
        archive = STATE / "pause.tar"
        containerd.one_binary_archive(archive, node_files.PAUSE_IMAGE, tool("pause"))
        containerd.import_archive(socket, archive)


def _credentials() -> Api:
    from tests.cluster import credentials  # needs a library that `down` must do without

    name = node_files.NODE_NAME
    service = "kubernetes.default.svc"
    names = ("kubernetes", "kubernetes.default", service, f"{service}.cluster.local", API_SERVICE_ADDRESS)
    clients = {
        **credentials.CONTROLLERS,
        "scheduler": credentials.Client("system:kube-scheduler"),
        "kubelet": credentials.Client(f"system:node:{name}", ("system:nodes",), (name, _LAYOUT.address)),
        "kube-proxy": credentials.Client("system:kube-proxy"),
        "coredns": credentials.Client("system:coredns"),
    }
    return credentials.issue(_LAYOUT, names, clients)


def _prepare_network() -> None:
    ip = program("ip")
    subprocess.run([ip, "address", "add", f"{_LAYOUT.address}/32", "dev", "lo"], check=True)
    subprocess.run([ip, "link", "set", "lo", "up"], check=True)
    packet_filter.allow_pods()


def _spawn(processes: list[Process], name: str, command: list[str | Path]) -> None:
    processes.append(spawn(name, command, _LAYOUT.log(name)))
    save(processes, _RECORD)


def _node_ready(api: Api) -> bool:
    node = api.get(f"/api/v1/nodes/{node_files.NODE_NAME}") or {}
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _dns_ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://{_LAYOUT.address}:{node_files.DNS_READY_PORT}/ready", timeout=5):
            return True
    except OSError:  # not listening, or 503 until it has read the cluster
        return False


def _keep_logs() -> Path:
    kept = cache() / "last-failure"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(STATE / "logs", kept)
    return kept
