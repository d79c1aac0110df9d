"""What the commands about something running do: the node, and the control plane that `up --control-plane-only` leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster import leftovers
from tests.cluster.errors import ClusterError
from tests.cluster.node import Cluster
from tests.cluster.paths import solo_control_plane
from tests.cluster.processes import Process, load

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def run(options: argparse.Namespace) -> None:
    """Run the command in *options*."""
    match options.command:
        case "up":
            _up(control_plane_only=options.control_plane_only)
        case "down":
            _down()
        case "status":
            _status()
        case "load":
            Cluster().load(*options.image)
        case "kubeconfig":
            print(_kubeconfig())
        case "logs":
            _logs(options.component)


def _up(*, control_plane_only: bool) -> None:
    if not control_plane_only:
        Cluster().up()
        return
    from tests.cluster.control_plane import ControlPlane

    directory = solo_control_plane()
    if _solo():
        print(f"the control plane is up already: export KUBECONFIG={_solo_kubeconfig()}")
        return
    plane = ControlPlane(controller_manager=True, directory=directory)
    plane.stop()  # what a crash left there
    plane.start()
    print(f"the control plane is up: export KUBECONFIG={plane.kubeconfig}")


def _down() -> None:
    from tests.cluster.control_plane import ControlPlane, sweep

    sweep()
    if solo_control_plane().exists():
        ControlPlane(directory=solo_control_plane()).stop()
        print("the control plane is gone")
    Cluster().down()


def _status() -> None:
    processes = [*Cluster().processes(), *load(solo_control_plane() / "processes.json")]
    for process in processes:
        print(f"{process.name:<20} {'running' if process.alive else 'gone':<8} {process.pid}")
    if Cluster().running():
        print(f"the cluster is up: export KUBECONFIG={Cluster().kubeconfig}")
    elif leftovers.exist():
        print("a cluster ended badly: `python -m tests.cluster down` cleans up, and so does `up`")
    if _solo():
        print(f"the control plane is up: export KUBECONFIG={_solo_kubeconfig()}")
    if not processes:
        print("nothing is running")


def _kubeconfig() -> Path:
    if Cluster().running():
        return Cluster().kubeconfig
    if _solo():
        return _solo_kubeconfig()
    raise ClusterError("no cluster is running: `python -m tests.cluster up`")


def _logs(component: str | None) -> None:
    if component is None:
        print("\n".join(process.name for process in Cluster().processes()))
        return
    log = Cluster().log(component)
    if not log.exists():
        raise ClusterError(f"no log of {component!r}; `python -m tests.cluster logs` lists the components")
    print(log.read_text(errors="replace"), end="")


def _solo() -> list[Process]:
    return [process for process in load(solo_control_plane() / "processes.json") if process.alive]


def _solo_kubeconfig() -> Path:
    return solo_control_plane() / "admin.kubeconfig"
