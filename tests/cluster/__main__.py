"""The harness by hand: `python -m tests.cluster COMMAND`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.cluster.errors import ClusterError


def main() -> int:
    """Run one command; an error of ours is told in its own words."""
    options = _parser().parse_args()
    started = time.monotonic()
    try:
        _run(options)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted after {time.monotonic() - started:.0f} s", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="can this machine carry the cluster? installs missing Debian packages")
    up = commands.add_parser("up", help="start the node, or find it running")
    up.add_argument("--control-plane-only", action="store_true", help="only etcd and the API server; needs no root")
    commands.add_parser("down", help="stop everything and leave the machine as it was")
    commands.add_parser("status", help="what runs")
    load = commands.add_parser("load", help="put images into the node, built first if need be")
    load.add_argument("image", nargs="*", help="such as grpctracing/operator:dev; all when none is named")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    logs = commands.add_parser("logs", help="print the log of a component, or list the components")
    logs.add_argument("component", nargs="?")
    commands.add_parser("tools", help="build the programs of the cluster")
    commands.add_parser("images", help="build all images")
    return parser


def _run(options: argparse.Namespace) -> None:
    # Imports stay inside: `check` and `down` must run where no third-party package is installed.
    match options.command:
        case "check":
            from tests.cluster.check import check

            check()
        case "tools":
            from tests.cluster.tools import build_all

            build_all()
        case "images":
            from tests.cluster.images import build_images

            build_images()
        case _:
            from tests.cluster import operate

            operate.run(options)


if __name__ == "__main__":
    sys.exit(main())
