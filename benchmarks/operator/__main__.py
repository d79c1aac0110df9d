"""`python -m benchmarks.operator`: the operator at 1,000, 5,000 and 10,000 Deployments, on a real API server and etcd."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import yaml

from benchmarks.bootstrap.environments import DRAWING
from tests.api.conftest import CRD
from tests.api.running import connected, install_crd
from tests.bootstrap.interpreters import environment
from tests.cluster import ControlPlane

from . import phases, report
from .fleet import NAMESPACE_COUNT, TRACED, Controller, Fleet, deployment, each, namespace, tracing
from .process import started
from .proxy import Proxy, difference

HERE = Path(__file__).parents[1]
SIZES = [1000, 5000, 10000]
RESULTS = HERE / "results"
README = HERE / "README.md"
CROWDED = "crowd-0"
"""The namespace that nobody has asked anything for until its turn comes."""


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the raw figures of one run."""
    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "sizes": {},
    }
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plane = await asyncio.to_thread(stack.enter_context, ControlPlane())
        client = await stack.enter_async_context(connected(plane.kubeconfig))
        proxy = await stack.enter_async_context(Proxy(plane).running())
        kubeconfig = proxy.kubeconfig(folder / "kubeconfig")
        fleet, log = Fleet(client), arguments.log or folder / "operators.log"
        controller = await stack.enter_async_context(Controller(client).running())
        await install_crd(client, yaml.safe_load(CRD.read_text()))
        await fleet.namespaces([*(namespace(number) for number in range(NAMESPACE_COUNT)), CROWDED])
        await each(fleet.create(namespace(number), tracing()) for number in range(TRACED))
        for size in arguments.sizes:
            began = time.monotonic()
            last = size == arguments.sizes[-1]
            await fleet.grow(size)
            if last:
                await each(fleet.create(CROWDED, deployment(f"crowd-{n}")) for n in range(arguments.crowd))
            await phases.settled(proxy, controller)
            say(f"{size} Deployments made", began)
            row = found["sizes"][str(size)] = {"deployments": len(await fleet.live())}
            row |= await ours(arguments, fleet, controller, proxy, kubeconfig, log, last=last)
            say(f"{size}: ours measured", began)
            row["kopf"] = await phases.with_kopf(kubeconfig, log, proxy, arguments.kopf_seconds)
            say(f"{size}: kopf measured", began)
    found["load_after"] = os.getloadavg()[0]
    return found


async def ours(
    arguments: argparse.Namespace,
    fleet: Fleet,
    controller: Controller,
    proxy: Proxy,
    kubeconfig: Path,
    log: Path,
    *,
    last: bool,
) -> dict[str, Any]:
    """Return our figures at one size; at the last one also what is measured once."""
    row: dict[str, Any] = {}
    began = time.monotonic()
    before, patched = proxy.taken(), len(controller.patched)
    async with started(kubeconfig, log) as operator:
        row["start"] = await phases.start(operator, proxy, 300)
        await phases.settled(proxy, controller, operator)
        say("synced and settled", began)
        row["first"] = {"requests": difference(before, proxy.taken()), "patched": len(controller.patched) - patched}
    async with started(kubeconfig, log) as operator:  # once more, with nothing left to write
        row["again"] = await phases.start(operator, proxy, 300)
        await phases.settled(proxy, controller, operator)
        say("synced again", began)
        row["latency"] = await phases.latency(fleet, controller, arguments.samples)
        await phases.settled(proxy, controller, operator)
        say("latency", began)
        if last:
            row["crowd"] = await phases.crowd(fleet, controller, proxy, operator, kubeconfig, CROWDED, arguments.crowd)
            say("crowd", began)
            row["rolling"] = await phases.rolling(fleet, controller, proxy, operator)
            say("rolling change", began)
            row["relist"] = await phases.relist(operator, proxy)
            await phases.settled(proxy, controller, operator)
        row["steady"] = await phases.steady(operator, proxy, arguments.steady if last else min(arguments.steady, 30))
    return row


def say(what: str, began: float) -> None:
    """Tell how far it is."""
    print(f"{what} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operator", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--steady", type=float, default=600.0, help="seconds with nothing to do, at the last size")
    parser.add_argument("--samples", type=int, default=200, help="Deployments made one by one for the latency")
    parser.add_argument("--crowd", type=int, default=1000, help="Deployments that one `kubectl apply` is for")
    parser.add_argument(
        "--kopf-seconds", type=float, default=120.0, help="after which kopf's handlers have not finished"
    )
    parser.add_argument("--log", type=Path, help="where to keep what the operators say")
    parser.add_argument("--quick", action="store_true", help="100 and 200 Deployments, 20 s of rest")
    parser.add_argument("--show", action="store_true", help="measure nothing, show the last run again")
    found = parser.parse_args()
    if found.quick:
        found.sizes, found.steady, found.samples, found.kopf_seconds = [100, 200], 20.0, 20, 30.0
        found.crowd = 100
    return found


def main() -> None:
    """Measure, print, write."""
    chosen = arguments()
    whole = chosen.sizes == SIZES
    raw = RESULTS / ("operator.json" if whole else "operator-part.json")
    if chosen.show:
        figures = json.loads(raw.read_text())
    else:
        figures = asyncio.run(measure(chosen))
        raw.write_text(json.dumps(figures, separators=(",", ":")) + "\n")
    text = report.markdown(figures)
    print(text)
    drawer = environment(sys.executable, *DRAWING)
    bare = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    script = Path(__file__).with_name("plot.py")
    drawing = json.dumps(report.panels(figures))
    subprocess.run([drawer, script, raw.with_suffix(".png")], check=True, input=drawing, text=True, env=bare)
    if whole:
        report.put_into(README, text)


if __name__ == "__main__":
    main()
