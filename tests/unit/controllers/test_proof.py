"""Proof of trace: which pods the Collector has received spans of."""

from __future__ import annotations

import contextlib
import copy

import aiohttp
import pytest
from aiohttp import web

from grpctracing.controllers.pods import Pods
from grpctracing.controllers.proof import Proof
from grpctracing.controllers.scrape import parse
from grpctracing.controllers.world import World
from tests.unit.controllers.lives import DB, A, deployment, stateful_set


def scrape(**pods):
    lines = ["# TYPE grpctracing_proof_calls_total counter", 'grpctracing_calls_total{x="y"} 5']
    for pod, value in pods.items():
        name = pod.replace("_", "-")
        labels = f'k8s_deployment_name="a",k8s_pod_name="{name}",service_name="a \\"quoted\\""'
        lines.append(f"grpctracing_proof_calls_total{{{labels}}} {value}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def aiohttp_answer():
    @contextlib.asynccontextmanager
    async def serving(body):
        async def answer(_):
            return web.Response(body=body)

        app = web.Application()
        app.router.add_get("/metrics", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
        await runner.cleanup()

    return serving


class Listing:
    """An API server with the revisions of the StatefulSet `db`, the newest last, and one pod (name, uid, revision)."""

    def __init__(self, pod, revisions):
        self.pod, self.revisions, self.asked = pod, revisions, set()

    def of(self, name, **labels):
        owner = {"uid": "db", "controller": True}
        return {"metadata": {"name": name, "labels": labels, "ownerReferences": [owner]}}

    async def page(self, *_):
        return {"items": [self.of(name) | {"revision": number} for number, name in enumerate(self.revisions)]}

    async def get(self, _, __, name):
        self.asked.add(name)
        pod = self.of(name, **{"controller-revision-hash": self.pod[2]})
        pod["metadata"]["uid"] = self.pod[1]
        return pod


class TestProof:
    @pytest.fixture
    def world(self):
        world = World()
        world.deployments.put(deployment())
        return world

    def proof(self, world):
        changed = []
        return Proof(world, "http://{namespace}", 10, changed.append, Pods(None)), changed

    def roll(self, world, image, **status):
        live = deployment(image=image, **status)
        live["metadata"]["resourceVersion"] = str(int(world.deployments.get(A)["metadata"]["resourceVersion"]) + 1)
        world.deployments.put(live)
        return live

    def test_a_scrape_is_read_by_deployment_and_replica_set(self):
        assert parse(scrape(a_rs1_x=3, a_rs1_y=1e2, a_rs2_z=5)) == {("Deployment", "a"): {"a-rs1": 103.0, "a-rs2": 5.0}}

    def test_nothing_is_claimed_before_a_span_was_seen(self, world):
        proof, changed = self.proof(world)
        assert proof.seen(A, world.deployments.get(A)) is False
        proof.absorb("production", scrape(a_rs1_x=3))
        assert changed == [A]
        assert proof.seen(A, world.deployments.get(A)) is True

    def test_once_seen_stays_seen_and_is_told_once(self, world):
        proof, changed = self.proof(world)
        proof.seen(A, world.deployments.get(A))
        proof.absorb("production", scrape(a_rs1_x=3))
        proof.absorb("production", scrape(a_rs1_x=4))
        proof.absorb("production", "")
        assert changed == [A]
        assert proof.seen(A, world.deployments.get(A)) is True

    def test_a_new_template_has_to_be_seen_anew(self, world):
        proof, _ = self.proof(world)
        proof.seen(A, world.deployments.get(A))
        proof.absorb("production", scrape(a_rs1_x=3))
        live = self.roll(world, "2", complete=False)
        assert proof.seen(A, live) is False
        proof.absorb("production", scrape(a_rs1_x=9))
        assert proof.seen(A, live) is False, "spans of the pods that are going"
        proof.absorb("production", scrape(a_rs1_x=9, a_rs2_y=1))
        assert proof.seen(A, live) is True

    def test_a_rollback_counts_on_after_its_rollout(self, world):
        proof, _ = self.proof(world)
        proof.seen(A, world.deployments.get(A))
        proof.absorb("production", scrape(a_rs1_x=3))
        proof.seen(A, self.roll(world, "2", complete=False))
        proof.absorb("production", scrape(a_rs1_x=3, a_rs2_y=1))
        back = self.roll(world, "1")
        assert proof.seen(A, back) is False
        proof.absorb("production", scrape(a_rs1_x=3, a_rs2_y=1))
        assert proof.seen(A, back) is False, "what was counted before"
        proof.absorb("production", scrape(a_rs1_x=4, a_rs2_y=1))
        assert proof.seen(A, back) is True

    def complete(self, world, image, replica_set):
        message = f'ReplicaSet "{replica_set}" has successfully progressed.'
        condition = {"type": "Progressing", "reason": "NewReplicaSetAvailable", "message": message}
        return self.roll(world, image, conditions=[condition])

    def test_after_a_restart_the_spans_of_old_pods_prove_nothing(self, world):
        live = self.complete(world, "2", "a-rs2")
        proof, changed = self.proof(world)
        assert proof.seen(A, live) is False
        proof.absorb("production", scrape(a_rs1_x=3))
        proof.absorb("production", scrape(a_rs1_x=4))
        assert proof.seen(A, live) is False
        proof.absorb("production", scrape(a_rs1_x=4, a_rs2_y=1))
        assert changed == [A]

    def test_what_old_pods_send_on_their_way_out_proves_nothing(self, world):
        proof, _ = self.proof(world)
        proof.seen(A, world.deployments.get(A))
        proof.absorb("production", scrape(a_rs1_x=3))
        live = self.complete(world, "2", "a-rs2")
        assert proof.seen(A, live) is False
        proof.absorb("production", scrape(a_rs1_x=9))
        assert proof.seen(A, live) is False
        proof.absorb("production", scrape(a_rs1_x=9, a_rs2_y=1))
        assert proof.seen(A, live) is True

    def test_a_name_too_long_for_a_pod_is_known_by_what_is_left_of_it(self, world):
        replica_set = "a-" + "long" * 12 + "-7d4b9c6f5d"
        live = self.complete(world, "2", replica_set)
        proof, _ = self.proof(world)
        proof.seen(A, live)
        proof.absorb("production", scrape(**{f"{replica_set}-"[:58] + "x7k2p": 1}))
        assert proof.seen(A, live) is True

    @pytest.mark.parametrize(
        ("value", "uid", "want"), [("db-new", "u1", True), ("db-old", "u1", False), ("db-new", "u0", False)]
    )
    async def test_of_another_kind_each_pod_that_sends_spans_is_looked_at_once(self, world, value, uid, want):
        server = Listing(pod=("db-0", "u1", value), revisions=["db-old", "db-new"])
        world.workloads["StatefulSet"].put(stateful_set())
        changed = []
        proof = Proof(world, "http://{namespace}", 10, changed.append, Pods(server))
        proof.seen(DB, world.of(DB).get(DB))
        text = (
            f'grpctracing_proof_calls_total{{k8s_statefulset_name="db",k8s_pod_name="db-0",k8s_pod_uid="{uid}"}} 1\n'
            'grpctracing_proof_calls_total{k8s_statefulset_name="db",k8s_pod_name="../secrets/x",k8s_pod_uid="u1"} 1\n'
        )
        assert proof.absorb("production", text) == [DB]
        await proof.look_at_pods(DB)
        assert proof.seen(DB, world.of(DB).get(DB)) is want
        assert changed == ([DB] if want else [])
        assert server.asked == {"db-0"}
        assert proof.absorb("production", text) == [], "proved, or of another template: there is nothing to ask"

    def test_only_what_exists_is_remembered(self):
        proof, _ = self.proof(World())
        proof.absorb("production", scrape(a_rs1_x=3))
        assert not proof._latest

    def test_only_a_collector_of_ours_is_asked(self, world):
        proof, _ = self.proof(world)
        world.tracings.put({"metadata": {"name": "t", "namespace": "production", "uid": "t", "resourceVersion": "1"}})
        assert proof._namespaces() == []
        service = {"name": "otel-collector", "namespace": "production", "uid": "s", "resourceVersion": "1"}
        world.owned["Service"].put({"metadata": service})
        assert proof._namespaces() == ["production"]

    @pytest.mark.parametrize(
        "body",
        [
            b'grpctracing_proof_calls_total{k8s_deployment_name="a",k8s_pod_name="a-rs1-x"} 1.2.3e+\n\xff\xfe',
            b"grpctracing_proof_calls_total{" + b"x" * 2**20,
            b"grpctracing_proof_calls_total{x} 1\n" * 300_000,
        ],
        ids=["no number", "an endless line", "endless lines"],
    )
    async def test_whatever_answers_the_operator_survives_it(self, world, body, aiohttp_answer):
        proof, _ = self.proof(world)
        async with aiohttp_answer(body) as url:
            proof.url = url
            async with aiohttp.ClientSession() as session:
                proof.absorb("production", await proof._scrape(session, "production") or "")

    async def test_whether_a_collector_answers_is_known_and_told_to_those_that_wait(self, world, aiohttp_answer):
        proof, changed = self.proof(world)
        times = iter((10.0, 15.0))
        proof.clock = lambda: next(times)
        proof.seen(A, world.deployments.get(A))
        assert proof.heard_for("production") is None
        async with aiohttp.ClientSession() as session:
            async with aiohttp_answer(b"") as url:
                proof.url = url
                await proof._scrape(session, "production")
                await proof._scrape(session, "production")
                assert changed == [A], "once"
                assert proof.heard_for("production") == 5.0
            await proof._scrape(session, "production")
        assert proof.heard_for("production") is None
        assert changed == [A, A]

    def test_switched_off_it_knows_nothing(self, world):
        assert Proof(world, "", 0, lambda _: None, Pods(None)).seen(A, deployment()) is None

    @pytest.mark.parametrize(
        ("since", "rolled_out", "want"),
        [
            ("2026-11-24T12:00:00Z", "2026-11-24T11:00:00Z", True),
            ("2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z", False),
        ],
    )
    def test_after_a_restart_the_status_is_believed_unless_pods_are_newer(self, world, since, rolled_out, want):
        entry = {"name": "a", "state": "Instrumented", "lastTransitionTime": since}
        metadata = {"name": "default", "namespace": "production", "uid": "t", "resourceVersion": "1"}
        world.tracings.put({"metadata": metadata, "status": {"workloads": [entry]}})
        live = copy.deepcopy(deployment())
        live["status"]["conditions"] = [{"type": "Progressing", "lastUpdateTime": rolled_out}]
        proof, _ = self.proof(world)
        assert proof.seen(A, live) is want
