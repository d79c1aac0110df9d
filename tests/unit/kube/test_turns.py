"""Whose turn it is: fair between namespaces, changes before the backlog, each key once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grpctracing.kube.resources import Key
from grpctracing.kube.turns import SHARE, Turns

KEYS = st.builds(Key, st.sampled_from(["production", "staging", "test"]), st.sampled_from("abcd"))
STEPS = st.lists(st.none() | st.tuples(KEYS, st.booleans()), max_size=60)


def drain(turns):
    return [turns.take() for _ in range(len(turns))]


@given(STEPS)
def test_every_key_that_is_added_is_taken_once_and_no_other(steps):
    turns, waiting = Turns(), set()
    for step in steps:
        if step is not None:
            key, backlog = step
            turns.add(key, backlog=backlog)
            waiting.add(key)
        elif waiting:
            waiting.remove(turns.take())
        assert len(turns) == len(waiting)
        assert all(key in turns for key in waiting)
    assert sorted(drain(turns)) == sorted(waiting)


@given(st.lists(KEYS, unique=True), st.lists(KEYS, unique=True))
def test_a_change_goes_before_the_backlog_but_for_its_share(backlog, changed):
    turns = Turns()
    for key in backlog:
        turns.add(key, backlog=True)
    for key in changed:
        turns.add(key)
    order = drain(turns)
    last = max((order.index(key) for key in changed), default=-1)
    assert last < len(changed) + len(changed) // SHARE + 1


@given(st.lists(KEYS, unique=True), st.booleans())
def test_a_namespace_waits_one_turn_of_each_other_per_key(keys, backlog):
    turns = Turns()
    for key in keys:
        turns.add(key, backlog=backlog)
    order = drain(turns)
    namespaces = len({key.namespace for key in keys})
    for key in keys:
        before = [other for other in keys[: keys.index(key)] if other.namespace == key.namespace]
        assert order.index(key) < (len(before) + 1) * namespaces


def test_five_thousand_keys_of_one_namespace_do_not_delay_the_one_of_another():
    turns = Turns()
    for number in range(5000):
        turns.add(Key("busy", str(number)))
    turns.add(Key("quiet", "one"))
    assert Key("quiet", "one") in {turns.take(), turns.take()}


def test_changes_that_never_end_do_not_starve_the_backlog():
    turns = Turns()
    turns.add(Key("staging", "old"), backlog=True)
    taken = []
    for number in range(SHARE + 1):
        turns.add(Key("production", f"{number}"))
        turns.add(Key("production", f"{number}-more"))
        taken.append(turns.take())
    assert Key("staging", "old") in taken


def test_a_resync_does_not_move_a_change_back():
    turns = Turns()
    turns.add(Key("staging", "old"), backlog=True)
    turns.add(Key("production", "new"))
    turns.add(Key("production", "new"), backlog=True)
    assert drain(turns) == [Key("production", "new"), Key("staging", "old")]
