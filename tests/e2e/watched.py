"""A namespace with a Collector of its own and two services: one is called all the time, the other is not."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.calls import AT_WORK, application, own_namespace, tracing, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

    from examples.demo.scenario import Scenario

QUIET = "quiet"
PATIENCE = 20
"""Seconds of `healthTimeout` from when all is at rest, so of how long the operator listens for spans; before that, pods may take their time."""


@dataclass(frozen=True)
class Watched:
    """*service* and *quiet* are what the spans of the Deployments payment-service and `QUIET` are called by."""

    scenario: Scenario
    service: str
    quiet: str

    def object(self, argument: str, patience: int = PATIENCE) -> dict[str, Any]:
        """Return the GrpcTracing, with this ratio of whatever is called, whoever calls, and a `healthTimeout` in seconds."""
        exporters = [{"type": "otlp_grpc", "endpoint": "jaeger.observability:4317", "insecure": True}]
        return tracing(
            self.scenario.namespace,
            sampler={"type": "traceidratio", "argument": argument},
            keep={"errors": False, "slowerThan": "Never"},
            collector={"mode": "Managed", "managed": {"exporters": exporters}},
            rollout={"healthTimeout": f"{patience}s"},
        )


@contextmanager
def watched_namespace(production: Scenario) -> Iterator[Watched]:
    """Give such a namespace, everything in it injected and at rest."""
    with own_namespace(production) as scenario:
        watched = Watched(scenario, unique("payment"), unique(QUIET))
        names = {"payment-service": watched.service, QUIET: watched.quiet}
        for name, service in names.items():
            for found in application(namespace=scenario.namespace):
                found["metadata"] |= {"name": name, "labels": {"app": name}}
                if found["kind"] == "Deployment":
                    found["metadata"]["annotations"]["grpctracing.dev/service-name"] = service
                    found["spec"]["selector"] = {"matchLabels": {"app": name}}
                    found["spec"]["template"]["metadata"]["labels"] = {"app": name}
                else:
                    found["spec"]["selector"] = {"app": name}
                scenario.kubectl.apply(found)
        scenario.trace(watched.object(argument="0.1", patience=300))
        scenario.wait_state(AT_WORK, *names)
        scenario.wait_settled(*names)
        scenario.kubectl.apply(watched.object(argument="0.1"))
        yield watched
