"""Applications that use tracing of their own, with the real packages: each runs in a process of its own, several at once.

An application of `apps/` prints one JSON document: what it saw of its calls ("app"), and what its own tracing has recorded ("theirs").
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bootstrap import interpreters, process

if TYPE_CHECKING:
    from tests.bootstrap.receiver import Receiver, Span

APPS = Path(__file__).resolve().parent / "apps"
_AT_ONCE = 2

# One environment for each generation: vendors do nothing until they are asked to, so they can live together.
_PACKAGES = {
    "newest": (
        sys.executable,
        "grpcio==1.85.1",
        "protobuf==7.36.2",
        "opentelemetry-sdk==1.45.2",
        "opentelemetry-distro==0.66b2",
        "opentelemetry-instrumentation-grpc==0.66b2",
        "ddtrace==4.16.0",
        "newrelic==14.1.0",
        "sentry-sdk==2.75.0",
    ),
    "middle": ("3.8", "grpcio==1.62.3", "opentelemetry-sdk==1.25.0"),
    "oldest": (
        "3.8",
        "grpcio==1.48.2",
        "opentelemetry-sdk==1.12.0",
        "opentelemetry-instrumentation-grpc==0.33b0",
        "ddtrace==2.0.0",
        "newrelic==8.8.1",
        "sentry-sdk==1.35.0",
    ),
}
# What the vendors need to know to stay by themselves.
_QUIET = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
    "NEW_RELIC_DEVELOPER_MODE": "true",
    "NEW_RELIC_APP_NAME": "app",
    "NEW_RELIC_LOG": "stderr",
    "NEW_RELIC_LOG_LEVEL": "critical",
}


def environment(generation: str) -> Path:
    """Return the bin/ of the *generation*'s environment."""
    python, *packages = _PACKAGES[generation]
    found = python if python == sys.executable else interpreters.needed(python)
    return Path(interpreters.environment(found, *packages)).parent


@dataclass(frozen=True)
class Run:
    """One process: a file of `apps/` and its arguments, in an environment, with or without the payload, perhaps under a *launcher*."""

    app: str
    how: str = ""
    generation: str = "newest"
    payload: bool = True
    launcher: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()

    def start(self, name: str, endpoint: str) -> process.Ended:
        """Run to the end."""
        place = environment(self.generation)
        program, *given = [place / word if word != "run-program" else word for word in (*self.launcher, "python")]
        started = process.start(
            APPS / f"{self.app}.py",
            self.how,
            python=str(program),
            flags=tuple(map(str, given)),
            payload=process.PAYLOAD if self.payload else None,
            endpoint=endpoint,
            **_QUIET | {"OTEL_SERVICE_NAME": name} | dict(self.env),
        )
        return process.wait(started)


class Outcomes:
    """What came of all the *runs* (by name), which are made at once."""

    def __init__(self, receiver: Receiver, runs: dict[str, Run]):
        self._receiver = receiver
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            started = {name: pool.submit(run.start, name, receiver.endpoint) for name, run in runs.items()}
            self._ended = {name: one.result() for name, one in started.items()}

    def _of(self, name: str) -> process.Ended:
        ended = self._ended[name]
        assert ended.code == 0, ended.err + ended.out
        return ended

    def told(self, name: str) -> Any:
        """Return the document that run *name* printed."""
        return json.loads(self._of(name).out)

    def said(self, name: str, *others: str) -> list[str]:
        """Return the lines that run *name* wrote to stderr and that are ours, or of *others* (loggers)."""
        return [line for line in self._of(name).err.splitlines() if line.startswith(("grpctracing:", *others))]

    def spans(self, name: str) -> list[Span]:
        """Return what our exporter sent for run *name*. The process is gone: nothing more will come."""
        return [span for span in self._receiver.spans if span.service == name]

    def names(self, name: str) -> list[str]:
        """Return "KIND name" of each of these spans, sorted."""
        return sorted(f"{span.kind} {span.name}" for span in self.spans(name))

    def measured(self, name: str) -> bool:
        """Return whether our exporter sent metrics for run *name*."""
        return any(
            attribute.value.string_value == name
            for request in self._receiver.metrics
            for resource in request.resource_metrics
            for attribute in resource.resource.attributes
        )
