"""What is kept in `status.reverted`, and what is asked about pods."""

from __future__ import annotations

import pytest

from grpctracing.api import Reverted
from grpctracing.controllers.evidence import Evidence
from grpctracing.controllers.memory import Memory, records
from grpctracing.controllers.pods import Pods, selector
from grpctracing.controllers.world import World
from grpctracing.controllers.write import settle
from grpctracing.injection import decide
from grpctracing.injection.failure import Cause
from grpctracing.kube import errors
from grpctracing.kube.resources import Key
from tests.unit.injection.builders import deployment
from tests.unit.injection.test_failure import looping, pod, replica_set
from tests.unit.injection.test_guard import ILL, failing, injected

TRACING, WORKLOAD = Key("production", "default"), Key("production", "payment-service")
RECORD = Reverted(name="payment-service", injection="abc", evidence="exit code 3")


class Server:
    """Keeps one GrpcTracing's status, and answers lists; refuses while *down*."""

    def __init__(self, world):
        self.world, self.down, self.writes, self.asked = world, False, 0, []
        self.lists = {}

    async def patch(self, resource, namespace, name, body, **_):
        if self.down:
            raise errors.Unavailable(503, "down")
        self.writes += 1
        before = self.world.tracings.get(Key(namespace, name))
        metadata = {**before["metadata"], "resourceVersion": str(int(before["metadata"]["resourceVersion"]) + 1)}
        return {"metadata": metadata, "status": body["status"]}

    async def page(self, resource, namespace, query):
        self.asked.append((resource.plural, query))
        if self.down:
            raise errors.Forbidden(403, "no")
        return {"items": self.lists[resource.plural]}


@pytest.fixture
def world():
    world = World()
    metadata = {"name": "default", "namespace": "production", "uid": "t", "resourceVersion": "1"}
    world.tracings.put({"metadata": metadata})
    world.deployments.put(deployment())
    return world


@pytest.fixture
def server(world):
    return Server(world)


@pytest.fixture
def memory(server, world):
    return Memory(server, world)


async def test_a_record_survives_in_the_status_alone(memory, server, world):
    await memory.remember(TRACING, RECORD)
    (known,) = Memory(server, world).of(TRACING).values()
    assert (known.injection, known.evidence) == ("abc", "exit code 3")
    assert known.time
    await memory.remember(TRACING, RECORD)
    assert server.writes == 1, "known is known"


async def test_a_status_that_cannot_be_written_is_no_reason_to_forget(memory, server, world):
    server.down = True
    await memory.remember(TRACING, RECORD)
    assert memory.of(TRACING)["payment-service"].injection == "abc"
    with pytest.raises(errors.Unavailable):
        await memory.catch_up(TRACING)
    server.down = False
    await memory.catch_up(TRACING)
    await memory.catch_up(TRACING)
    assert records(world.tracings.get(TRACING)).keys() == {"payment-service"}
    assert server.writes == 1


@pytest.mark.parametrize("part", ["injection", "image", "retry"])
async def test_what_failed_otherwise_than_before_is_written_anew(memory, world, part):
    await memory.remember(TRACING, RECORD)
    await memory.remember(TRACING, RECORD.model_copy(update={part: "another"}))
    (known,) = records(world.tracings.get(TRACING)).values()
    assert getattr(known, part) == "another"


class TestWhoGoesByIt:
    @pytest.fixture
    def told(self, memory):
        told = []
        memory.changed = told.append
        return told

    async def test_hears_of_what_could_not_be_written(self, memory, server, told):
        server.down = True
        await memory.remember(TRACING, RECORD)
        assert told == [TRACING]
        await memory.remember(TRACING, RECORD)
        assert told == [TRACING], "known is known"

    async def test_hears_of_what_was_never_written_when_it_is_forgotten(self, memory, server, told):
        server.down = True
        await memory.remember(TRACING, RECORD)
        told.clear()
        await memory.forget(WORKLOAD)
        assert told == [TRACING]
        assert not memory.of(TRACING)


async def test_what_is_gone_or_well_is_forgotten(memory, server, world):
    await memory.remember(TRACING, RECORD)
    await memory.forget(WORKLOAD, healthy_with="another")
    assert memory.of(TRACING)
    await memory.forget(WORKLOAD, healthy_with="default")
    assert not records(world.tracings.get(TRACING))
    await memory.remember(TRACING, RECORD)
    world.deployments.remove(WORKLOAD)
    assert not memory.of(TRACING)
    await memory.forget(WORKLOAD)
    assert not records(world.tracings.get(TRACING))


async def test_the_list_is_bounded_and_keeps_the_oldest(memory, world):
    for number in range(52):
        world.deployments.put(deployment(f"w-{number}"))
        await memory.remember(TRACING, RECORD.model_copy(update={"name": f"w-{number}"}))
    kept = records(world.tracings.get(TRACING))
    assert list(kept) == [f"w-{number}" for number in range(50)]
    assert len(memory.of(TRACING)) == 52


def test_a_record_that_a_newer_release_wrote_does_not_disturb():
    status = {"reverted": [{"name": 7}, RECORD.model_dump(by_alias=True), "?"]}
    assert list(records({"status": status})) == ["payment-service"]
    assert records({"status": None}) == {} == records(None)


async def test_what_is_to_be_remembered_is_written_before_the_deployment():
    written = []

    class Client:
        async def patch(self, *_, **__):
            written.append("deployment")
            return deployment()

    async def remember(verdict):
        written.append(verdict.record.name)

    verdict = decide(failing())
    await settle(Client(), failing().deployment, lambda _: verdict, remember)
    assert written == ["payment-service", "deployment"]


class TestEvidence:
    @pytest.fixture
    def evidence(self, server):
        server.lists = {"replicasets": [of_production(replica_set())], "pods": [pod(looping())]}
        return Evidence(Pods(server))

    async def test_pods_are_listed_only_while_a_rollout_stands_still_and_now_and_then(self, evidence, server):
        live = injected(ILL)
        assert await evidence.of(WORKLOAD, live, still=1.0, now=0.0) is None
        assert not server.asked
        for now in (4.0, 5.0, 6.0, 7.0):
            found = await evidence.of(WORKLOAD, live, still=now, now=now)
            assert found.cause is Cause.CRASH
        assert [kind for kind, _ in server.asked] == ["replicasets", "pods"]
        assert all(int(query["limit"]) <= 50 for _, query in server.asked)
        assert server.asked[1][1]["labelSelector"] == "app=payment-service,pod-template-hash=new"

    @pytest.mark.parametrize(
        ("live", "ended_for"),
        [
            pytest.param(deployment(status=ILL), 0.0, id="not injected"),
            pytest.param(injected(), 0.0, id="healthy"),
            pytest.param(injected({"observedGeneration": 0}), 0.0, id="not begun"),
            pytest.param(injected(ILL), 3601.0, id="a node that goes, weeks later"),
        ],
    )
    async def test_nobody_is_asked_about_pods_that_are_not_in_question(self, evidence, server, live, ended_for):
        assert await evidence.of(WORKLOAD, live, still=99.0, now=99.0, ended_for=ended_for) is None
        assert not server.asked

    async def test_what_was_seen_of_another_version_does_not_count(self, evidence):
        assert await evidence.of(WORKLOAD, injected(ILL), still=9.0, now=9.0)
        newer = injected(ILL)
        newer["metadata"]["generation"] += 1
        assert await evidence.of(WORKLOAD, newer, still=10.0, now=10.0) is None

    async def test_without_the_right_to_look_the_deployment_speaks_for_itself(self, evidence, server):
        server.down = True
        assert await evidence.of(WORKLOAD, injected(ILL), still=9.0, now=9.0) is None
        refusal = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
        live = injected(ILL | {"conditions": [refusal]})
        assert (await evidence.of(WORKLOAD, live, still=19.0, now=19.0)).cause is Cause.REFUSED


def of_production(obj):
    obj["spec"]["selector"] = {"matchLabels": {"app": "payment-service", "pod-template-hash": "new"}}
    return obj


def test_a_selector_as_the_query_spells_it():
    expressions = [
        {"key": "a", "operator": "In", "values": ["1", "2"]},
        {"key": "b", "operator": "NotIn", "values": ["1"]},
        {"key": "c", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
    ]
    assert (
        selector({"matchLabels": {"app": "x"}, "matchExpressions": expressions}) == "app=x,a in (1,2),b notin (1),c,!d"
    )
