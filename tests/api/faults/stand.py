"""The operator's own process behind the fault proxy, and what a test asks of both."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.api.process import answers, environment_of, free_port
from tests.api.running import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.faults.proxy import Proxy
    from tests.cluster import ControlPlane

TOKEN = "one"


@dataclass
class Stand:
    """One operator, led through *proxy* to *namespace*."""

    proxy: Proxy
    namespace: str
    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> Path:
        return self.directory / "operator.log"

    @property
    def token(self) -> Path:
        return self.directory / "token"

    @contextlib.contextmanager
    def started(self, control_plane: ControlPlane, **settings: str) -> Iterator[Stand]:
        """Run the operator inside the block."""
        kubeconfig = self.directory / "kubeconfig"
        kubeconfig.write_text(json.dumps(reached(self.proxy.url)))
        self.token.write_text(TOKEN)
        environment = environment_of(control_plane, self.port) | {
            "KUBECONFIG": str(kubeconfig),
            "GRPCTRACING_WATCH_NAMESPACES": self.namespace,
            **settings,
        }
        words = [sys.executable, "-m", "grpctracing.cli", "run"]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(words, env=environment, stdout=output, stderr=output)
        try:
            yield self
        finally:
            self.process.kill()
            self.process.wait(10)

    def lines(self, event: str = "", *, since: int = 0) -> list[dict[str, Any]]:
        """What it has logged, beginning with line *since*."""
        found = []
        for line in self.output.read_text().splitlines()[since:]:
            with contextlib.suppress(ValueError):  # the last line may not be whole yet
                found.append(json.loads(line))
        return [line for line in found if event in line["event"]]

    def patches(self, workload: str) -> int:
        """How many patches of *workload* the API server has accepted from it."""
        return len(self.proxy.asked(rf"^PATCH .*/deployments/{workload}\?", status=range(200, 300)))

    async def patched_once(self, workload: str) -> None:
        """It has written *workload*, and not again. The write may be seen before the proxy has its answer."""
        await eventually(lambda: self.patches(workload), within=30)
        assert self.patches(workload) == 1

    async def well(self) -> None:
        """It runs, and says so."""
        assert self.process is not None
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.output.read_text()[-2000:]}"
        for path in ("/livez", "/readyz"):
            await eventually(lambda path=path: answers(self.port, path), within=30)


@dataclass
class Told:
    """What was logged and asked inside a block."""

    stand: Stand
    line: int = 0
    request: int = 0
    began: float = 0.0

    @classmethod
    def now(cls, stand: Stand) -> Told:
        return cls(stand, len(stand.output.read_text().splitlines()), len(stand.proxy.log), time.monotonic())

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        return self.stand.lines(event, since=self.line)

    def asked(self, match: str = "") -> int:
        return sum(match in each.what for each in self.stand.proxy.log[self.request :])

    def troubles(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["level"] in {"warning", "error"}]

    def no_flood(self, lines: int = 40) -> None:
        """What a person on call can still read."""
        found = [line["event"] for line in self.troubles()]
        assert len(found) <= lines, f"{len(found)} lines: {found}"
        assert not self.lines("reconcile broke"), "a fault of the cluster's is not a bug of ours"


def reached(url: str) -> dict[str, Any]:
    """A kubeconfig with a token that is replaced from time to time."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": url}}],
        "users": [{"name": "operator", "user": {"tokenFile": "token"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "operator"}}],
        "current-context": "here",
    }
