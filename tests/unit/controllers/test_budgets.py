"""A workload that waits for a PodDisruptionBudget: it is not said meanwhile that it is being patched."""

from __future__ import annotations

import pytest

from grpctracing.controllers.board import Board
from grpctracing.controllers.pods import Pods
from grpctracing.controllers.preflight import Preflight
from grpctracing.controllers.proof import Proof
from grpctracing.controllers.transitions import Transitions
from grpctracing.controllers.workload import WorkloadController
from grpctracing.controllers.world import World
from grpctracing.injection import Reason, names
from grpctracing.kube.events import Recorder
from grpctracing.kube.resources import Key, key_of
from tests.unit.injection.builders import tracing
from tests.unit.injection.test_budget import ONE_AT_A_TIME, budget, rolling

HEALTHY = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}


class Cluster:
    """A client of a namespace whose one budget lets *allowed* pods go; what the board says at each look is in *said*."""

    def __init__(self, workload):
        self.workload, self.allowed, self.said, self.board, self.patched = workload, 0, [], None, 0

    def told(self):
        return [verdict.reason for verdict in self.board.workloads(Key("production", "default")).values()]

    async def list(self, *_, **__):
        self.said += self.told()
        return [budget(self.allowed)]

    async def patch(self, *_, **__):
        self.patched += 1
        return self.workload


@pytest.fixture
def cluster():
    return Cluster(rolling(ONE_AT_A_TIME, annotations={names.INJECT: "true"}, status=HEALTHY))


@pytest.fixture
def controller(cluster):
    world, wanted = World(), tracing(spec={"preflight": "Never"}, resourceVersion="1")
    world.deployments.put(cluster.workload)
    world.tracings.put(wanted.model_dump(by_alias=True, mode="json"))
    owner = {"kind": "GrpcTracing", "name": "default", "uid": "uid-default", "apiVersion": "grpctracing.dev/v1alpha1"}
    labels = {names.MANAGED_BY_LABEL: names.FIELD_MANAGER}
    metadata = {"name": names.config_map_name("default"), "namespace": "production", "resourceVersion": "1"}
    metadata |= {"labels": labels, "ownerReferences": [owner | {"controller": True}]}
    world.owned["ConfigMap"].put({"kind": "ConfigMap", "metadata": metadata})
    cluster.board = Board(lambda _: None)
    proof = Proof(world, "", 0.0, print, Pods(cluster))
    preflight = Preflight(cluster, world, {}, print)
    return WorkloadController(cluster, world, cluster.board, proof, Transitions(Recorder(cluster)), {}, preflight)


async def test_what_waits_for_a_budget_is_never_said_to_be_patched(cluster, controller):
    key = key_of(cluster.workload)
    await controller.reconcile(key)  # the first look at a namespace only surveys it
    for _ in range(3):
        await controller.reconcile(key)
        assert cluster.told() == [Reason.DISRUPTION_BUDGET]
        controller.budgets._known.clear()  # as after a while
    assert len(cluster.said) >= 3
    assert Reason.PATCHING not in cluster.said
    assert not cluster.patched
    cluster.allowed = 1
    await controller.reconcile(key)
    assert cluster.patched == 1
