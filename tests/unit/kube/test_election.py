"""Who leads: every case of the decision. Times are seconds of our own monotonic clock; the Lease is for ten."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from grpctracing.kube.election import Record, Sighting, Step, Times, claim, elect, look, micro_time, resignation

ME, OTHER = "operator-a_1", "operator-b_2"
NOW = datetime(2026, 11, 28, 12, 0, 0, 5, tzinfo=UTC)


def record(holder=OTHER, *, seconds=10, renewed="2026-11-28T11:59:58.000000Z", **more):
    return Record(holder, seconds, renewed=renewed, **more)


@pytest.mark.parametrize(
    ("seen", "now", "step"),
    [
        pytest.param(None, 0, Step.TAKE, id="there is no Lease"),
        pytest.param(Sighting(Record(), 0), 0, Step.TAKE, id="a Lease that says nothing"),
        pytest.param(Sighting(record("", seconds=1), 0), 0, Step.TAKE, id="given back"),
        pytest.param(Sighting(record(ME), 0), 0, Step.RENEW, id="ours"),
        pytest.param(Sighting(record(ME), 0), 99, Step.RENEW, id="ours and long not renewed: nobody took it"),
        pytest.param(Sighting(record(), 100), 100, Step.WAIT, id="seen just now"),
        pytest.param(Sighting(record(), 100), 109.9, Step.WAIT, id="not renewed, but not for long enough"),
        pytest.param(Sighting(record(), 100), 110, Step.TAKE, id="not renewed for the whole of its time"),
        pytest.param(Sighting(record(seconds=30), 100), 129.9, Step.WAIT, id="it was promised longer than we would"),
        pytest.param(Sighting(record(seconds=30), 100), 130, Step.TAKE, id="that is over too"),
        pytest.param(Sighting(record(seconds=1), 100), 109.9, Step.WAIT, id="shorter promises are not taken literally"),
        pytest.param(Sighting(record(seconds=0), 100), 109.9, Step.WAIT, id="a holder without a promise"),
        pytest.param(Sighting(record(renewed=""), 100), 105, Step.WAIT, id="a holder that never said when"),
        pytest.param(
            Sighting(record(renewed="1970-01-01T00:00:00.000000Z"), 100), 105, Step.WAIT, id="its clock is late"
        ),
        pytest.param(
            Sighting(record(renewed="2099-01-01T00:00:00.000000Z"), 100), 110, Step.TAKE, id="its clock is early"
        ),
        pytest.param(Sighting(record(renewed="yesterday"), 100), 105, Step.WAIT, id="a time that is none"),
    ],
)
def test_decision(seen, now, step):
    assert elect(seen, ME, now, 10) is step


def test_a_record_ages_from_when_it_was_first_seen():
    first = look(None, record(), 100)
    assert look(first, record(), 105) == first


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(record(renewed="2026-11-28T12:00:00.000000Z"), id="renewed"),
        pytest.param(record(renewed="2026-11-28T11:00:00.000000Z"), id="renewed after its clock was set back"),
        pytest.param(record(ME), id="another holder"),
        pytest.param(record(transitions=1), id="lost and won back in between"),
    ],
)
def test_any_change_is_a_sign_of_life(after):
    assert look(look(None, record(), 100), after, 105) == Sighting(after, 105)


def test_a_lease_says_what_its_spec_says():
    spec = {
        "holderIdentity": OTHER,
        "leaseDurationSeconds": 10,
        "leaseTransitions": 3,
        "acquireTime": "2026-11-28T11:00:00.000000Z",
        "renewTime": "2026-11-28T11:59:58.000000Z",
    }
    assert Record.of({"spec": spec}) == record(transitions=3, acquired="2026-11-28T11:00:00.000000Z")
    assert Record.of({}) == Record.of({"spec": {"holderIdentity": None}}) == Record()


@pytest.mark.parametrize(
    ("before", "transitions", "acquired"),
    [
        pytest.param(None, 0, "2026-11-28T12:00:00.000005Z", id="the first ever"),
        pytest.param(record(transitions=3, acquired="a"), 4, "2026-11-28T12:00:00.000005Z", id="from another"),
        pytest.param(record("", transitions=3, acquired="a"), 4, "2026-11-28T12:00:00.000005Z", id="given back"),
        pytest.param(record(ME, transitions=3, acquired="a"), 3, "a", id="renewal"),
    ],
)
def test_what_a_holder_writes(before, transitions, acquired):
    assert claim(before, ME, 10, NOW) == {
        "holderIdentity": ME,
        "leaseDurationSeconds": 10,
        "acquireTime": acquired,
        "renewTime": "2026-11-28T12:00:00.000005Z",
        "leaseTransitions": transitions,
    }


def test_who_resigns_leaves_nothing_to_wait_for():
    given_back = Record.of({"spec": {**claim(None, ME, 10, NOW), **resignation(NOW)}})
    assert elect(look(None, given_back, 100), OTHER, 100, 10) is Step.TAKE


def test_a_whole_second_has_its_six_digits():
    assert micro_time(NOW.replace(microsecond=0)) == "2026-11-28T12:00:00.000000Z"


@pytest.mark.parametrize("lease", [5, 10, 300])
def test_a_holder_falls_silent_well_before_it_is_replaced_and_has_more_than_one_try(lease):
    times = Times(lease)
    assert times.deadline <= lease * 0.75
    assert times.renew + 2 * times.retry + times.attempt < times.deadline
