"""What a policy adds to the creation of a pod: `python -m benchmarks.admission [pods] [other policies]`.

An API server and an etcd, no node. Pods are made one after the other over one connection, in turns: in a namespace without
and in one with a policy, so that whatever else the machine does hits both alike. Then the same once more with that many
policies of other namespaces beside it, each of which the API server asks whether it is meant.
"""

from __future__ import annotations

import http.client
import json
import ssl
import statistics
import sys
import time
from typing import Any

from grpctracing.injection import policies
from tests.api.admission import install, pod_of, wait_until_in_force
from tests.api.rest import Rest
from tests.cluster import ControlPlane
from tests.unit.injection.builders import deployment, tracing

WITHOUT, WITH = "latency-without", "latency-with"
WARM_UP = 50


class Connection:
    """One connection that stays open, as a controller-manager has it."""

    def __init__(self, control_plane: ControlPlane) -> None:
        context = ssl.create_default_context(cafile=control_plane.ca_file)
        self._http = http.client.HTTPSConnection(
            control_plane.url.removeprefix("https://"), context=context, timeout=30
        )
        self._headers = {"Authorization": f"Bearer {control_plane.token}", "Content-Type": "application/json"}

    def create(self, namespace: str, pod: dict[str, Any]) -> float:
        """Make a pod; return the milliseconds that it took."""
        body = json.dumps(pod).encode()
        began = time.perf_counter()
        self._http.request("POST", f"/api/v1/namespaces/{namespace}/pods", body, self._headers)
        response = self._http.getresponse()
        answer = response.read()
        took = (time.perf_counter() - began) * 1000
        assert response.status == http.client.CREATED, answer[:500]
        injected = b"GRPCTRACING_POD_NAME" in answer
        assert injected == (namespace == WITH), f"{namespace}: injected is {injected}"
        return took


def measure(connection: Connection, pods: int) -> dict[str, list[float]]:
    """Return the milliseconds of so many *pods* in each namespace, after some that do not count."""
    template = deployment(containers=["app", "istio-proxy"], env={"LOG_LEVEL": "info", "PYTHONPATH": "/app"})
    pod = pod_of(template)
    taken: dict[str, list[float]] = {WITHOUT: [], WITH: []}
    for number in range(WARM_UP + pods):
        for namespace, times in taken.items():
            took = connection.create(namespace, pod)
            if number >= WARM_UP:
                times.append(took)
    return taken


def row(name: str, times: list[float], plain: list[float]) -> str:
    """Return a line of the table."""
    p50, p99 = (statistics.quantiles(times, n=100)[at] for at in (49, 98))
    base50, base99 = (statistics.quantiles(plain, n=100)[at] for at in (49, 98))
    ratios = f"{p50 / base50:.2f} | {p99 / base99:.2f}"
    return f"| {name} | {len(times)} | {p50:.2f} | {p99:.2f} | {p50 - base50:+.2f} | {p99 - base99:+.2f} | {ratios} |"


def namespaced(namespace: str) -> list[dict[str, Any]]:
    """Return the policy and binding of an object that takes all pods of *namespace*."""
    object_ = tracing(spec={"selector": {}, "rollout": {"strategy": "Admission"}}, namespace=namespace)
    return policies(object_, [object_])


def main(pods: int, others: int) -> None:
    """Measure and print the table (milliseconds)."""
    with ControlPlane() as control_plane:
        rest, connection = Rest(control_plane), Connection(control_plane)
        for namespace in (WITHOUT, WITH):
            rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        print(
            "| pods | number | p50 | p99 | added p50 | added p99 | p50 ratio | p99 ratio |\n|---|---|---|---|---|---|---|---|"
        )
        install(rest, namespaced(WITH))
        wait_until_in_force(rest, tracing(namespace=WITH))
        taken = measure(connection, pods)
        print(row("no policy for the namespace", taken[WITHOUT], taken[WITHOUT]))
        print(row("through the policy", taken[WITH], taken[WITHOUT]), flush=True)
        for number in range(others):
            install(rest, namespaced(f"elsewhere-{number}"))
        rest.ok("POST", "/api/v1/namespaces", {"metadata": {"name": f"elsewhere-{others - 1}"}})
        wait_until_in_force(rest, tracing(namespace=f"elsewhere-{others - 1}"))
        crowded = measure(connection, pods)
        print(row(f"no policy, {others} elsewhere", crowded[WITHOUT], crowded[WITHOUT]))
        print(row(f"through the policy, {others} elsewhere", crowded[WITH], crowded[WITHOUT]))


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*(numbers + [1000, 100][len(numbers) :]))
