"""When a status is written: what is true in the end, and never more often than once in two seconds per object."""

from __future__ import annotations

import copy
import itertools

import pytest

from grpctracing.controllers.board import Board, Facts
from grpctracing.controllers.status import INTERVAL, StatusController
from grpctracing.controllers.world import World
from grpctracing.injection import Action, Reason, State, Verdict
from grpctracing.kube import errors
from grpctracing.kube.events import Recorder
from grpctracing.kube.resources import GRPC_TRACINGS, Key

A, B = Key("production", "a"), Key("staging", "b")
EXTERNAL = Facts(None, ("External", ""))
STATES = {State.PENDING: Reason.ROLLOUT_SLOT, State.PROGRESSING: Reason.ROLLING_OUT, State.INJECTED: Reason.UNVERIFIED}


class Server:
    """The API server, as far as statuses go; `writes` are (when, whose, status)."""

    def __init__(self, world, clock):
        self.world, self.clock, self.writes, self.refuses = world, clock, [], False

    async def patch(self, _resource, namespace, name, body, *, kind, subresource):
        if self.refuses:
            raise errors.Unavailable(503, "not now")
        key = Key(namespace, name)
        self.writes.append((self.clock(), key, body["status"]))
        obj = copy.deepcopy(self.world.tracings.get(key))
        obj["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + 1)
        return obj | {"status": body["status"]}

    def times(self, key):
        return [when for when, whose, _ in self.writes if whose == key]


class Place:
    """Two GrpcTracings, a clock, and a queue that brings back what a change or the answer of `reconcile` asks for."""

    def __init__(self):
        self.now = 100.0
        self.due = {}
        self.world = World()
        self.board = Board(changed=lambda key: self.due.__setitem__(key, self.now))
        self.server = Server(self.world, lambda: self.now)
        self.status = StatusController(self.server, self.world, self.board, Recorder(None), clock=lambda: self.now)
        for key in (A, B):
            metadata = {"namespace": key.namespace, "name": key.name, "uid": key.name, "resourceVersion": "1"}
            metadata |= {"generation": 1}
            self.world.tracings.put(
                {"apiVersion": GRPC_TRACINGS.api_version, "kind": GRPC_TRACINGS.kind, "metadata": metadata}
            )
        self.board.found(A, EXTERNAL)

    def turn(self, tracing, state):
        workload = Key(tracing.namespace, "shop")
        self.board.report(workload, Verdict(Action.NOTHING, state, STATES[state], tracing=tracing.name))

    async def pass_(self, seconds):
        """Let time pass in tenths of a second, with the work that is due."""
        for _ in range(round(seconds * 10)):
            for key in [key for key, when in self.due.items() if when <= self.now]:
                del self.due[key]
                if (again := await self.status.reconcile(key)) is not None:
                    self.due[key] = min(self.due.get(key, self.now + again), self.now + again)
            self.now += 0.1


@pytest.fixture
def place():
    return Place()


async def test_of_many_changes_one_write_in_two_seconds_is_left_and_the_last_is_told(place):
    states = itertools.cycle(STATES)
    for _ in range(100):
        place.turn(A, next(states))
        await place.pass_(0.1)
    place.turn(A, State.INJECTED)
    await place.pass_(3)
    times = place.server.times(A)
    assert 4 <= len(times) <= 8
    assert all(later - sooner >= INTERVAL - 0.01 for sooner, later in itertools.pairwise(times))
    assert place.world.tracings.get(A)["status"]["counts"]["injected"] == 1


async def test_a_busy_object_holds_up_no_other(place):
    place.turn(A, State.PENDING)
    await place.pass_(0.5)
    place.turn(A, State.PROGRESSING)
    place.board.found(B, EXTERNAL)
    await place.pass_(0.5)
    assert len(place.server.times(A)) == 1
    assert len(place.server.times(B)) == 1


async def test_what_is_told_already_is_not_written_again(place):
    place.turn(A, State.INJECTED)
    await place.pass_(1)
    written = len(place.server.writes)
    place.due[A] = place.now
    await place.pass_(5)
    assert len(place.server.writes) == written


async def test_a_write_that_failed_is_made_up_for_without_a_pause(place):
    place.turn(A, State.INJECTED)
    place.server.refuses = True
    with pytest.raises(errors.Unavailable):
        await place.status.reconcile(A)
    place.server.refuses = False
    assert await place.status.reconcile(A) is None
    assert place.server.times(A) == [place.now]
