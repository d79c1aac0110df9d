"""What the controllers remember between two looks: fights, health, verdicts, proof."""

from __future__ import annotations

import contextlib
import copy

import aiohttp
import pytest
from aiohttp import web

from grpctracing.controllers.board import Board
from grpctracing.controllers.history import History
from grpctracing.controllers.pods import Pods
from grpctracing.controllers.proof import Proof
from grpctracing.controllers.scrape import parse
from grpctracing.controllers.world import World
from grpctracing.injection import Action, Reason, State, Verdict
from grpctracing.kube.resources import Key

A, B = Key("production", "a"), Key("production", "b")
DB = Key("production", "db", "StatefulSet")
TRACING = Key("production", "default")
PATCH = {"metadata": {"resourceVersion": "1"}, "spec": {"template": {"spec": {"containers": [{"name": "app"}]}}}}
LATER = {"metadata": {"resourceVersion": "2"}, "spec": PATCH["spec"]}
OTHER = {"metadata": {}, "spec": {"template": {"spec": {"containers": [{"name": "worker"}]}}}}


def deployment(name="a", *, image="1", complete=True, **status):
    replicas = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 if complete else 1, "observedGeneration": 1}
    return {
        "metadata": {"name": name, "namespace": "production", "uid": name, "generation": 1, "resourceVersion": "1"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "app", "image": image}]}}},
        "status": replicas | status,
    }


def stateful_set(image="1", *, updated=3, available=3, **spec):
    made = deployment("db", image=image, replicas=3, updatedReplicas=updated, availableReplicas=available)
    return made | {"kind": "StatefulSet", "spec": made["spec"] | {"replicas": 3, "selector": {}} | spec}


class TestHistory:
    def test_the_first_patch_undoes_nothing(self):
        assert History().undone(A, PATCH, 0) == 0

    def test_the_same_patch_again_means_that_it_was_undone(self):
        history = History()
        for now in (0, 10, 20):
            history.wrote(A, PATCH, now)
        assert history.undone(A, LATER, 30) == 3, "the version it was made for does not matter"

    def test_a_different_patch_is_no_fight(self):
        history = History()
        history.wrote(A, PATCH, 0)
        assert history.undone(A, OTHER, 1) == 0
        assert history.undone(B, PATCH, 1) == 0

    def test_what_we_took_out_ourselves_was_not_undone(self):
        history = History()
        for now in range(5):
            history.wrote(A, PATCH, now)
            history.reverted(A)
        assert history.undone(A, PATCH, 6) == 0

    @pytest.mark.parametrize(
        ("seen", "want"),
        [
            ([("1", 3, 3, 0)], None),  # over before the first look
            ([("1", 3, 2, 0)], None),  # all are new, so it may have been over before the first look
            ([("1", 1, 3, 0)], 0.0),
            ([("1", 1, 3, 0), ("1", 3, 2, 10)], 0.0),  # the last one comes up
            ([("1", 1, 3, 0), ("1", 3, 3, 10), ("1", 3, 3, 17)], 7.0),
            ([("1", 1, 3, 0), ("1", 3, 3, 10), ("1", 3, 2, 17)], 7.0),  # what befalls a pod later is no rollout
            ([("1", 3, 3, 0), ("2", 0, 3, 5), ("2", 3, 3, 9), ("2", 3, 3, 10)], 1.0),
        ],
    )
    def test_the_end_of_a_rollout_is_watched_where_no_book_tells(self, seen, want):
        history = History()
        for image, updated, available, now in seen:
            said = history.over_for(DB, stateful_set(image, updated=updated, available=available), now)
        assert said == want

    def test_each_pod_that_its_user_replaces_is_a_rollout(self):
        history = History()
        by_hand = {"updateStrategy": {"type": "OnDelete"}}
        assert history.over_for(DB, stateful_set(updated=0, **by_hand), 0) is None
        assert history.over_for(DB, stateful_set(updated=0, available=2, **by_hand), 10) is None, "an old pod is ill"
        assert history.over_for(DB, stateful_set(updated=1, available=2, **by_hand), 20) == 0
        assert history.over_for(DB, stateful_set(updated=1, **by_hand), 30) == 0
        assert history.over_for(DB, stateful_set(updated=1, available=2, **by_hand), 90) == 60

    def test_patches_of_long_ago_are_forgotten(self):
        history = History()
        history.wrote(A, OTHER, 0)
        for now in range(90000, 90100):
            history.wrote(A, PATCH, now)
        assert len(history._written[A]) == 1

    def test_what_was_long_ago_is_no_fight(self):
        history = History()
        history.wrote(A, PATCH, 0)
        history.wrote(A, PATCH, 14401)
        assert history.undone(A, PATCH, 14500) == 1

    def test_a_tool_that_comes_by_once_an_hour_is_a_fight_too(self):
        history = History()
        for hours in range(4):
            history.wrote(A, PATCH, hours * 3600)
        assert history.undone(A, PATCH, 4 * 3600) == 4

    def test_a_new_image_is_a_reason_to_patch_anew(self):
        history = History()
        for release in range(6):
            history.wrote(A, PATCH, release, f"image {release}")
        assert history.undone(A, PATCH, 6, "image 6") == 0

    def test_a_fight_that_was_given_up_stays_so_when_the_hours_have_passed(self):
        history = History()
        for now in range(5):
            history.wrote(A, PATCH, now)
        assert history.undone(A, PATCH, 20000) == 5
        assert history.undone(A, PATCH, 87000) == 0, "after a day it is worth another try"

    def test_what_the_guard_took_out_and_somebody_puts_in_again_is_a_fight(self):
        history = History()
        history.wrote(A, PATCH, 0)
        for now in (10, 20, 30):
            history.took_back(A, OTHER, now)
        assert history.undone(A, OTHER, 40) == 3
        assert history.undone(A, PATCH, 40) == 0, "the next try is nobody's fault"

    def test_a_slow_rollout_is_not_stuck_and_a_flapping_pod_no_progress(self):
        history = History()
        for now, available in ((0, 0), (100, 1), (200, 0), (250, 1)):
            still = history.failed_since(A, deployment(complete=False, availableReplicas=available), now)
            assert still == (0 if now <= 100 else now - 100)
        newer = deployment(image="2", complete=False, availableReplicas=0)
        assert history.failed_since(A, newer, 300) == 0, "another template has its own time"

    def test_a_paused_rollout_does_not_age(self):
        history = History()
        history.wrote(A, PATCH, 0)
        paused = deployment(complete=False)
        paused["spec"]["paused"] = True
        assert history.failed_since(A, paused, 3600) == 0
        assert history.failed_since(A, deployment(complete=False), 3610) == 10

    def test_health_is_timed_from_when_it_was_first_seen(self):
        history = History()
        for now, complete, healthy_for in ((0, True, 0), (7, True, 7), (8, False, 0), (9, True, 0), (12, True, 3)):
            history.failed_since(A, deployment(complete=complete), now)
            assert history.healthy_for(A, now) == healthy_for

    def test_an_incomplete_rollout_is_timed_from_our_patch(self):
        history = History()
        assert history.failed_since(A, deployment(complete=False), 100) == 0
        assert history.failed_since(A, deployment(complete=False), 130) == 30
        history.wrote(A, PATCH, 140)
        assert history.failed_since(A, deployment(complete=False), 150) == 10
        assert history.failed_since(A, deployment(), 160) == 0
        assert history.failed_since(A, deployment(complete=False), 200) == 0, (
            "the next trouble counts from its own start"
        )


def verdict(state=State.INJECTED, **more):
    return Verdict(Action.NOTHING, state, Reason.NO_SPANS_YET, tracing="default", **more)


class TestBoard:
    def board(self):
        changed = []
        return Board(changed.append), changed

    def test_a_new_verdict_is_told_and_the_same_again_is_not(self):
        board, changed = self.board()
        assert board.report(A, verdict()) is None
        assert board.report(A, verdict()) == verdict()
        assert changed == [TRACING]

    def test_workloads_that_share_a_name_are_counted_each(self):
        board, _ = self.board()
        named = {Key("production", "a", kind): State.PROGRESSING for kind in ("", "StatefulSet", "DaemonSet")}
        for key, state in named.items():
            board.report(key, Verdict(Action.NOTHING, state, Reason.ROLLING_OUT, tracing="default"))
        assert board.workloads(TRACING).keys() == {"a", "StatefulSet/a", "DaemonSet/a"}
        assert board.progressing(TRACING, A) == 2, "spec.rollout.maxConcurrent is for all kinds together"
        board.forget(A)
        assert board.workloads(TRACING).keys() == {"StatefulSet/a", "DaemonSet/a"}

    def test_a_workload_moves_from_one_object_to_the_other(self):
        board, changed = self.board()
        board.report(A, verdict())
        board.report(A, Verdict(Action.NOTHING, State.INJECTED, Reason.NO_SPANS_YET, tracing="other"))
        assert board.workloads(TRACING) == {}
        assert set(board.workloads(Key("production", "other"))) == {"a"}
        assert set(changed) == {TRACING, Key("production", "other")}

    def test_the_one_that_stands_back_says_for_whom(self):
        board, _ = self.board()
        board.report(A, verdict(others=("second",)))
        told = board.workloads(Key("production", "second"))["a"]
        assert told.state is State.SKIPPED
        assert '"default"' in told.message

    def test_rolling_out_is_counted_without_oneself(self):
        board, _ = self.board()
        board.report(A, verdict(State.PROGRESSING))
        board.report(B, verdict(State.PROGRESSING))
        assert board.progressing(TRACING, A) == 1
        board.report(A, verdict())
        assert board.progressing(TRACING, B) == 0
        board.report(A, verdict(State.PROGRESSING))
        board.forget(B)
        assert board.progressing(TRACING, A) == 0

    def test_an_image_is_judged_by_the_others_that_have_it(self):
        board, _ = self.board()
        board.report(A, verdict(State.PROGRESSING, image="x"))
        assert board.trying("x", B)
        assert not board.trying("x", A), "nobody waits for itself"
        assert not board.trying("x", Key("staging", "a")), "nor for another namespace"
        board.report(A, verdict(image="x", proved=True))
        assert (board.trying("x", B), board.proved("x")) == (False, True)
        board.report(A, verdict(image="y", proved=True))
        assert (board.proved("x"), board.proved("y")) == (False, True)
        board.forget(A)
        assert not board.proved("y")

    def test_what_is_not_selected_is_in_nobodys_status(self):
        board, changed = self.board()
        board.report(A, Verdict(Action.NOTHING, State.SKIPPED, Reason.NOT_SELECTED))
        assert changed == []

    def test_a_namespace_is_surveyed_when_each_has_been_looked_at_and_stays_so(self):
        board, _ = self.board()
        board.report(A, verdict())
        assert not board.surveyed("production", [A, B])
        board.report(B, verdict())
        assert board.surveyed("production", [A, B])
        assert board.surveyed("production", [A, B, Key("production", "new")])

    def test_one_that_is_deleted_before_it_was_looked_at_does_not_hold_up_its_namespace(self):
        board, _ = self.board()
        board.report(A, verdict())
        assert not board.surveyed("production", [A, B])
        board.forget(B)
        assert board.surveyed("production", [A])

    def test_one_that_no_verdict_can_be_had_on_does_not_hold_up_its_namespace(self):
        board = Board(changed=lambda _: None)
        board.report(A, verdict())
        board.stumbled(B)
        assert board.surveyed("production", [A, B])


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
