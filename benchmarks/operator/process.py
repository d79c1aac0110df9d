"""A measured operator: a process of its own, its CPU and memory as /proc tells them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.api.process import ROOT, answers, ask, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TICKS = os.sysconf("SC_CLK_TCK")
KOPF = Path(__file__).with_name("kopf_handlers.py")


@dataclass
class Measured:
    """A running operator; *began* is when it was started (monotonic)."""

    process: asyncio.subprocess.Process
    port: int
    began: float

    def cpu(self) -> float:
        """Return the CPU seconds that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, what: str = "VmRSS") -> float:
        """Return resident MB; with VmHWM the most that it ever was."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the operator has ended")

    async def waiting(self) -> int:
        """Return how many keys wait in its queues, as its metrics tell."""
        _, text = await ask(self.port, "/metrics")
        depths = [line for line in text.splitlines() if line.startswith("grpctracing_queue_depth{")]
        return sum(int(float(line.rpartition(" ")[2])) for line in depths)

    async def ready(self, within: float) -> float | None:
        """Return the seconds from its start until it was ready, or None when that took longer than *within*."""
        while time.monotonic() - self.began < within:
            if await answers(self.port, "/readyz"):
                return time.monotonic() - self.began
            if self.process.returncode is not None:
                raise RuntimeError("the operator has ended by itself")
            await asyncio.sleep(0.1)  # each question takes the operator a millisecond of what is measured
        return None


@asynccontextmanager
async def started(kubeconfig: Path, log: Path, *, kopf: bool = False) -> AsyncIterator[Measured]:
    """Run our operator, or with *kopf* the one to compare with, against *kubeconfig*."""
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}",
        "KUBECONFIG": str(kubeconfig),
        "GRPCTRACING_PAYLOAD_DIR": str(ROOT / "sidecar" / "payload"),
        "GRPCTRACING_HTTP_PORT": str(port),
        "GRPCTRACING_PROOF_SECONDS": "0",
    }
    command = [str(KOPF)] if kopf else ["-m", "grpctracing.cli", "run"]
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=environ, stdout=out, stderr=asyncio.subprocess.STDOUT
        )
    try:
        yield Measured(process, port, time.monotonic())
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()
