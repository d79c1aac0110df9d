"""The command line: `python -m grpctracing.cli run|uninstall|explain|crds`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final

from grpctracing.injection.kinds import KINDS, NOT_PATCHED
from grpctracing.kube.config import NoCluster
from grpctracing.kube.errors import ApiError
from grpctracing.settings import Settings, SettingsError, namespaced

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE_ERROR: Final = 2

Target = tuple[str, str, str]
"""Kind, namespace and name."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="grpctracing", description="Distributed tracing for gRPC services in Kubernetes."
    )
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run the operator")
    uninstall = commands.add_parser(
        "uninstall", help="take every injection out, delete what is owned, release the GrpcTracing objects"
    )
    uninstall.add_argument(
        "--namespace",
        action="append",
        default=[],
        help="only there (may be repeated), where no operator works any more; one that works elsewhere goes on",
    )
    explain = commands.add_parser("explain", help="say why a workload is as it is; writes nothing")
    explain.add_argument("workload", metavar="[KIND/]NAMESPACE/NAME", help="without KIND: a Deployment")
    commands.add_parser("crds", help="print the CustomResourceDefinition")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (0 done, 1 not done, 2 asked wrongly)."""
    args = parser().parse_args(arguments)
    try:
        if args.command == "crds":
            from grpctracing.cli.crds import crds

            return crds()
        settings = Settings.from_env(os.environ)
        if args.command == "run":
            from grpctracing.cli.run import run

            return asyncio.run(run(settings, os.environ))
        if args.command == "uninstall":
            from grpctracing.cli.uninstall import uninstall

            return asyncio.run(uninstall(settings.only(args.namespace), os.environ))
        from grpctracing.cli.explain import explain

        return asyncio.run(explain(settings, os.environ, target(args.workload)))
    except SettingsError as error:
        complain(str(error))
        return USAGE_ERROR
    except (NoCluster, ApiError) as error:
        complain(str(error))
        return 1


def target(text: str) -> Target:
    """Return what [KIND/]NAMESPACE/NAME names; raises SettingsError."""
    kind, _, rest = text.partition("/") if text.count("/") > 1 else ("Deployment", "", text)
    known = {name.lower(): name for name in (*KINDS, *NOT_PATCHED)}
    if kind.lower() not in known:
        raise SettingsError(f'"{kind}" makes no pods that are known here; write one of {", ".join(known.values())}')
    try:
        return known[kind.lower()], *namespaced(rest)
    except ValueError as error:
        raise SettingsError(f'"{text}" {error}') from None


def complain(message: str) -> None:
    """Tell the user what went wrong."""
    sys.stderr.write(f"grpctracing: {message}\n")
