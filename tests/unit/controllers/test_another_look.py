"""Images at which a look has failed are looked into again, for as long as a policy leaves their containers alone."""

from __future__ import annotations

import pytest

from grpctracing.controllers.board import Board, Facts
from grpctracing.controllers.pods import Pods
from grpctracing.controllers.preflight import RETRY_PULL_SECONDS, RETRY_SECONDS, Preflight
from grpctracing.controllers.proof import Proof
from grpctracing.controllers.transitions import Transitions
from grpctracing.controllers.workload import WorkloadController
from grpctracing.controllers.world import World
from grpctracing.injection import Reason
from grpctracing.injection.findings import Failure, Report
from grpctracing.injection.probing import digest
from grpctracing.injection.records import record, records_config_map
from grpctracing.kube.events import Recorder
from grpctracing.kube.resources import Key, key_of
from tests.unit.injection.builders import container, deployment, tracing

TRACING = Key("production", "default")
APP, WORKER = container("app", image="shop/app:1"), container("worker", image="shop/worker:1")
REPORT = Report((3, 12), "1.60")


class Operator:
    """One workload whose image *worker* could not be looked into, and what looks at it."""

    def __init__(self, *containers, policy=True, preflight="Auto", **rollout):
        self.now, self.workload, world = 0.0, deployment(containers=[*containers]), World()
        spec = {"selector": {}, "preflight": preflight, "rollout": {"strategy": "Admission"} | rollout}
        asked = tracing(spec=spec, resourceVersion="1")
        kept = records_config_map(asked, {digest(APP): record(REPORT, "shop/app:1", "2026-11-29T00:00:00Z")})
        kept["metadata"]["resourceVersion"] = "1"
        world.owned["ConfigMap"].put(kept)
        world.tracings.put(asked.model_dump(by_alias=True, mode="json"))
        world.deployments.put(self.workload)
        self.board = Board(lambda _: None)
        self.board.found(TRACING, Facts(True, ("Available", ""), policy=policy))
        self.preflight = Preflight(None, world, {}, print, clock=lambda: self.now)
        proof, transitions = Proof(world, "", 0.0, print, Pods(None)), Transitions(Recorder(None))
        self.workloads = WorkloadController(None, world, self.board, proof, transitions, {}, self.preflight)

    def failed(self, failure, seconds):
        self.preflight._remember(Key("production", digest(WORKER)), failure, seconds)

    async def asked_for(self, after):
        """Reason of the verdict, and images that are to be looked into."""
        self.now = after
        await self.workloads.reconcile(key_of(self.workload))
        (verdict,) = self.board.workloads(TRACING).values()
        return verdict.reason, [job.image for job in self.preflight._jobs.values()]


@pytest.mark.parametrize(
    ("containers", "reason"),
    [
        pytest.param([WORKER], Reason.PREFLIGHT_FAILED, id="the only one"),
        pytest.param([APP, WORKER], Reason.THROUGH_ADMISSION, id="beside one that is known"),
    ],
)
@pytest.mark.parametrize(
    ("failure", "seconds"),
    [(Failure("no such tag", unpullable=True), RETRY_PULL_SECONDS), (Failure("no node"), RETRY_SECONDS)],
    ids=["not pulled", "not scheduled"],
)
async def test_an_image_is_looked_into_again_after_a_while(containers, reason, failure, seconds):
    operator = Operator(*containers)
    operator.failed(failure, seconds)
    assert await operator.asked_for(after=seconds - 1) == (reason, [])
    assert await operator.asked_for(after=seconds) == (reason, ["shop/worker:1"])


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"policy": False}, id="no policy"),
        pytest.param({"mode": "Plan"}, id="planning"),
        pytest.param({"preflight": "Never"}, id="no preflight"),
        pytest.param({"strategy": "Patch"}, id="a patch, which gives it everything"),
    ],
)
async def test_nobody_looks_where_nothing_would_change(given):
    operator = Operator(APP, WORKER, **given)
    operator.failed(Failure("no node"), RETRY_SECONDS)
    _, images = await operator.asked_for(after=RETRY_SECONDS)
    assert not images
