"""Which pods are deleted that broke with an injection that has been taken out: those whose successors would be without it."""

from __future__ import annotations

import pytest

from grpctracing.controllers.board import Board
from grpctracing.controllers.evidence import STILL
from grpctracing.controllers.leftovers import clear
from grpctracing.controllers.pods import Pods
from grpctracing.controllers.preflight import Preflight
from grpctracing.controllers.proof import Proof
from grpctracing.controllers.transitions import Transitions
from grpctracing.controllers.workload import WorkloadController
from grpctracing.controllers.world import World
from grpctracing.injection import names
from grpctracing.kube.events import Recorder
from grpctracing.kube.resources import key_of
from tests.unit.injection.test_kinds import ON_DELETE, PARTITION, stateful_set


class Cluster:
    """A client that lists broken pods of the StatefulSet and notes which are deleted."""

    def __init__(self, *ordinals):
        self.ordinals, self.deleted = ordinals, []

    async def page(self, *_):
        return {"items": [self.pod(f"db-{number}") for number in self.ordinals]}

    async def delete(self, _, pod):
        self.deleted.append(pod["metadata"]["name"])

    @staticmethod
    def pod(name):
        owner = {"uid": "uid-db", "controller": True, "kind": "StatefulSet", "name": "db", "apiVersion": "apps/v1"}
        waiting = {"name": "app", "restartCount": 4, "state": {"waiting": {"reason": "CreateContainerConfigError"}}}
        spec = {"containers": [{"name": "app", "env": [{"name": names.POD_NAME}]}]}
        metadata = {"name": name, "namespace": "production", "uid": f"uid-{name}", "ownerReferences": [owner]}
        return {"metadata": metadata, "spec": spec, "status": {"containerStatuses": [waiting]}}


@pytest.mark.parametrize(
    ("workload", "planning", "deleted", "told"),
    [
        pytest.param(stateful_set(), False, ["db-0", "db-2"], [], id="it would wait for them"),
        pytest.param(
            stateful_set(updateStrategy=PARTITION), False, ["db-2"], [], id="the first ones would come back ill"
        ),
        pytest.param(
            stateful_set(updateStrategy=PARTITION, ordinals={"start": 1}), False, [], [], id="counted from the first"
        ),
        pytest.param(stateful_set(updateStrategy=ON_DELETE), False, [], ["db-0", "db-2"], id="its user's to delete"),
        pytest.param(stateful_set(), True, [], ["db-0", "db-2"], id="Plan changes nothing"),
    ],
)
async def test_a_pod_is_deleted_where_that_helps_and_is_ours_to_do(workload, planning, deleted, told):
    cluster = Cluster(0, 2)
    found = await clear(Pods(cluster), workload, planning=planning)
    assert cluster.deleted == deleted
    assert [name for name, done in found.items() if not done] == told


async def test_it_is_deleted_also_when_no_tracing_object_is_left_in_the_namespace():
    cluster, world, now = Cluster(2), World(), [1000.0]
    workload = stateful_set(updated=0, available=2)
    world.of(key := key_of(workload)).put(workload)
    proof, preflight = Proof(world, "", 0.0, print, Pods(cluster)), Preflight(cluster, world, {}, print)
    controller = WorkloadController(
        cluster,
        world,
        Board(lambda _: None),
        proof,
        Transitions(Recorder(cluster)),
        {},
        preflight,
        clock=lambda: now[0],
    )
    controller.leftovers.took_out(key)
    await controller.reconcile(key)
    now[0] += STILL
    await controller.reconcile(key)
    assert cluster.deleted == ["db-2"]
