"""etcd and an API server, ready in seconds: what tests of the API and of the operator need, without root and many at once."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.cluster import commands
from tests.cluster.commands import Layout
from tests.cluster.errors import ClusterError
from tests.cluster.locks import locked
from tests.cluster.paths import cache
from tests.cluster.processes import Process, load, save, spawn, start_time, stop, wait_until
from tests.cluster.tools import tool

if TYPE_CHECKING:
    from types import TracebackType

    from tests.cluster.api import Api

_PREFIX = "grpctracing-control-plane-"
_LOOPBACK = "127.0.0.1"
_ATTEMPTS = 3  # a free port may be taken between looking and listening


class ControlPlane:
    """A context manager: inside it, `url`, `ca_file`, `token` and `kubeconfig` (an administrator) lead to an API server.

    With *controller_manager* there are also default ServiceAccounts, ReplicaSets, garbage collection; pods stay Pending in
    any case, for there is no node. With *directory* it stays there for a later process to `stop`; else it has a temporary one.
    """

    def __init__(self, *, controller_manager: bool = False, directory: Path | None = None) -> None:
        self.controller_manager = controller_manager
        self.directory = directory
        self.token = ""
        self.url = ""
        self.ca_file = Path()
        self.kubeconfig = Path()
        self._api: Api | None = None
        self._commands: dict[str, list[str | Path]] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and return when the API server is ready."""
        sweep()
        for attempt in range(1, _ATTEMPTS + 1):
            layout = self._layout()
            try:
                self._start(layout)
            except ClusterError as error:
                self.stop()
                if attempt == _ATTEMPTS or "address already in use" not in str(error):
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """End its processes and remove its directory; fine to call twice."""
        if self.directory is not None:
            _remove(self.directory)

    def log(self, component: str) -> Path:
        """Return the log file of *component* (etcd, apiserver, controller-manager)."""
        return self._directory / "logs" / f"{component}.log"

    @property
    def _directory(self) -> Path:
        if self.directory is None:
            raise ClusterError("the control plane has not been started")
        return self.directory

    def halt(self, component: str) -> None:
        """End *component* (etcd, apiserver) at once, as a crash does; what it has stored stays."""
        processes = self._processes()
        stop([process for process in processes if process.name == component], grace=0)
        self._save([process for process in processes if process.name != component])

    def resume(self, component: str) -> None:
        """Start *component* again where `halt` has ended it, and return when the API server is ready."""
        started = spawn(component, self._commands[component], self.log(component))
        processes = [*self._processes(), started]
        self._save(processes)
        wait_until("the API server is ready again", self.ready, processes, self.log("apiserver"))

    def ready(self) -> bool:
        """Tell whether the API server says that it is ready."""
        return self._api is not None and self._api.ready()

    def _processes(self) -> list[Process]:
        return load(self._directory / "processes.json")

    def _save(self, processes: list[Process]) -> None:
        save(processes, self._directory / "processes.json")

    def _layout(self) -> Layout:
        if self.directory is None:
            self.directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
            save([Process("owner", os.getpid(), start_time(os.getpid()))], self.directory / "owner.json")
        self.directory.mkdir(parents=True, exist_ok=True)
        api_port, etcd_port, peer_port = _free_ports(3)
        return Layout(self.directory, _LOOPBACK, api_port, etcd_port, peer_port)

    def _start(self, layout: Layout) -> None:
        from tests.cluster import credentials  # needs a library that `down` must do without

        api = credentials.issue(layout, ("localhost",), credentials.CONTROLLERS)
        self.url, self.ca_file, self.token = api.url, api.authority, api.token
        self.kubeconfig = layout.kubeconfig("admin")
        self._api = api
        self._commands = {
            "etcd": commands.etcd(layout, tool("etcd")),
            "apiserver": commands.api_server(
                layout, tool("kube-apiserver"), node=False, controllers=self.controller_manager
            ),
        }
        processes = [spawn(name, words, layout.log(name)) for name, words in self._commands.items()]
        save(processes, layout.directory / "processes.json")
        wait_until("the API server is ready", api.ready, processes, layout.log("apiserver"))
        if self.controller_manager:
            words = commands.controller_manager(layout, tool("kube-controller-manager"))
            processes.append(spawn("controller-manager", words, layout.log("controller-manager")))
            save(processes, layout.directory / "processes.json")
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            there = "the default ServiceAccount is there"
            wait_until(there, lambda: api.get(account) is not None, processes, layout.log("controller-manager"))


def sweep() -> None:
    """Remove control planes whose owner died without stopping them."""
    with locked(cache() / "sweep.lock"):
        for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            if abandoned(directory) and directory.stat().st_uid == os.getuid():
                _remove(directory)


def abandoned(directory: Path) -> bool:
    """Whether the process that made the control plane in *directory* is gone."""
    owners = load(directory / "owner.json")
    return bool(owners) and not owners[0].alive


def _remove(directory: Path) -> None:
    # The API server first: without its etcd it would wait for it until killed.
    for process in reversed(load(directory / "processes.json")):
        stop([process])
    if directory.exists():
        shutil.rmtree(directory)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:  # all open at once, so that they differ
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]
