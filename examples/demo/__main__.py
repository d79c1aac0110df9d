"""`make demo`: from nothing to the trace of a real gRPC call, told step by step.

python -m examples.demo                      # on a single-node cluster that it starts here
python -m examples.demo --kubeconfig FILE    # on a cluster of yours
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from examples.demo.chapters import Demo
from examples.demo.kubectl import CommandError, Kubectl
from examples.demo.scenario import REGISTRY, Scenario
from examples.demo.terminal import Terminal
from examples.demo.wait import NotInTimeError
from tests.cluster import Cluster, ClusterError, tool
from tests.cluster.images import IMAGES
from tests.cluster.tools import TOOLS, built


def arguments_of(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make demo", description="GrpcTracing from helm install to a trace")
    parser.add_argument("--kubeconfig", type=Path, help="a cluster of yours (default: one started on this machine)")
    parser.add_argument(
        "--registry",
        default=os.environ.get("GRPCTRACING_REGISTRY", REGISTRY),
        help="where your cluster finds the images NAME:dev (default: side-loaded as grpctracing/NAME:dev)",
    )
    return parser.parse_args(argv)


def operator_build() -> str:
    """Return what the local operator image is made of."""
    return IMAGES[f"{REGISTRY}/operator:dev"].key()


def main() -> int:
    """Tell the story; where a part fails, say which and why."""
    arguments = arguments_of(sys.argv[1:])
    terminal = Terminal()
    try:
        if arguments.kubeconfig:
            kubeconfig = arguments.kubeconfig.expanduser().resolve()
            kubectl, helm = (shutil.which(name) or str(tool(name)) for name in ("kubectl", "helm"))
            scenario = Scenario(Kubectl(kubectl, kubeconfig), helm, arguments.registry)
            Demo(scenario, terminal).play()
        else:
            cluster = Cluster()
            terminal.chapter("A Kubernetes cluster on this machine")
            with terminal.step("tools, built once") as step, step.captured():
                for build in TOOLS:
                    built(build)
                kubectl, helm = str(tool("kubectl")), str(tool("helm"))
            scenario = Scenario(Kubectl(kubectl, cluster.kubeconfig), helm, build=operator_build())
            Demo(scenario, terminal).play(cluster)
    except (ClusterError, CommandError, NotInTimeError) as error:
        terminal.say(f"\n{error}", "red")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
