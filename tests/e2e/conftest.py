"""One cluster for all end-to-end tests, with operator, Jaeger and the traced scenario; fresh namespaces for what would disturb it.

A cluster that runs already is used and left alone; GRPCTRACING_E2E_KEEP=1 leaves the one that is started here running too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from examples.demo.jaeger import Jaeger
from examples.demo.kubectl import Kubectl
from examples.demo.scenario import FILES, INJECT, SERVICES, Scenario, containers, manifests
from tests.cluster import Cluster, snapshot, tool
from tests.cluster.images import IMAGES
from tests.e2e.calls import AT_WORK, own_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

IDLE = ["--every=86400"]  # the load client calls only when a test asks it to


def pytest_collection_modifyitems(config, items):
    """Mark what needs the cluster; what ends it comes last, and not at all where the cluster is to stay."""
    ours = [item for item in items if "tests/e2e/" in item.nodeid]
    for item in ours:
        item.add_marker(pytest.mark.e2e)
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(300, func_only=True))  # starting the cluster is not the test's time
    last = [item for item in ours if item.get_closest_marker("exclusive")]
    items[:] = [item for item in items if item not in last]
    if os.environ.get("GRPCTRACING_E2E_KEEP") or Cluster().running():
        config.hook.pytest_deselected(items=last)
    else:
        items += last


@dataclass(frozen=True)
class Machine:
    """The machine under the cluster: *before* is what it looked like without one; None where one was running already."""

    cluster: Cluster
    before: object | None


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    cluster = Cluster()
    was_running = cluster.running()
    if not was_running:
        cluster.down()  # what a killed cluster left is not the machine as it was
    before = None if was_running else snapshot()
    yield Machine(cluster, before)
    if not was_running and not os.environ.get("GRPCTRACING_E2E_KEEP"):
        cluster.down()


@pytest.fixture(scope="session")
def cluster(machine) -> Scenario:
    """Return the scenario's tools on a running cluster with all images, operator and Jaeger."""
    machine.cluster.up(report=print)
    machine.cluster.load(report=print)
    kubectl = Kubectl(str(tool("kubectl")), machine.cluster.kubeconfig)
    scenario = Scenario(kubectl, str(tool("helm")), build=IMAGES["grpctracing/operator:dev"].key())
    scenario.install()
    scenario.deploy("jaeger")
    scenario.within("observability").wait_settled("jaeger")
    return scenario


@pytest.fixture(scope="session")
def production(cluster) -> Scenario:
    """Return the scenario as the examples have it, annotated and injected; its load client is idle."""
    objects = manifests(*FILES)
    for found in objects:
        if found["metadata"]["name"] == "load-client":
            containers(found)[0]["args"] = IDLE
        if found["kind"] == "Deployment":
            found["metadata"].setdefault("annotations", {})[INJECT] = "true"
    cluster.kubectl.apply(*objects)
    cluster.trace(*manifests("tracing"))
    cluster.wait_state(AT_WORK, *SERVICES, within=300)
    cluster.wait_settled(*SERVICES)
    return cluster


@pytest.fixture(scope="session")
def jaeger(cluster) -> Jaeger:
    return Jaeger(cluster.kubectl)


@pytest.fixture
def fresh(cluster) -> Iterator[Scenario]:
    """Return the scenario's tools in a namespace of its own, restricted, empty, gone afterwards."""
    with own_namespace(cluster) as scenario:
        yield scenario
