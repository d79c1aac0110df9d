"""Several operators in one cluster: whose claim stands, and what the other one tells."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from grpctracing.kube import neighbours
from grpctracing.kube.neighbours import Claim, Neighbours, Outranked, in_the_way
from grpctracing.kube.resources import Key
from grpctracing.kube.selectors import parse
from tests.unit.kube.fake_server import FakeServer, page, refusal, served

FIRST, SECOND = Key("grpctracing-system", "first"), Key("tracing", "second")


def claim(lease, *namespaces, since="2026-01-01T00:00:00Z", selector=""):
    return Claim(lease, frozenset(namespaces), since, selector)


LATER = "2026-02-01T00:00:00Z"


@pytest.mark.parametrize(
    ("own", "other", "where"),
    [
        pytest.param((), (), "all namespaces", id="both everywhere"),
        pytest.param((), ("a", "b"), "a, b", id="everywhere, where another has some"),
        pytest.param(("a", "b"), (), "a, b", id="some, where another is everywhere"),
        pytest.param(("a", "b"), ("b", "c"), "b", id="one in common"),
        pytest.param(("a",), ("b",), None, id="nothing in common"),
    ],
)
def test_the_later_one_waits_where_both_would_work(own, other, where):
    said = in_the_way(claim(SECOND, *own, since=LATER), [claim(FIRST, *other)])
    assert (said is None) if where is None else f"works in {where} already: the one of Lease {FIRST}" in said
    assert in_the_way(claim(FIRST, *other), [claim(SECOND, *own, since=LATER)]) is None


@pytest.mark.parametrize(
    ("own", "other"),
    [
        ("team=a", "team=b"),
        ("team in (a, b)", "team in (c),shard"),
        ("team", "!team"),
        ("team in (a, b)", "team notin (a, b)"),
        ("kubernetes.io/metadata.name notin (shop, shop-eu)", ("shop", "shop-eu")),
    ],
)
def test_selectors_that_no_namespace_satisfies_both_are_let_in(own, other):
    first = claim(FIRST, selector=other) if isinstance(other, str) else claim(FIRST, *other)
    second = claim(SECOND, since=LATER, selector=own)
    assert in_the_way(second, [first]) is None
    assert in_the_way(dataclasses.replace(first, since=LATER), [dataclasses.replace(second, since="")]) is None


@pytest.mark.parametrize(
    ("own", "other", "words"),
    [
        pytest.param("team=a", "team=a", 'namespaces with the labels "team=a"', id="the same"),
        pytest.param("team=a", "shard=b", 'namespaces with the labels "shard=b"', id="of different labels"),
        pytest.param("team=a", "", "all namespaces", id="beside one that works everywhere"),
        pytest.param("", "team=a", 'namespaces with the labels "team=a"', id="everywhere"),
        pytest.param("team=a", "team ~ b", 'namespaces with the labels "team ~ b"', id="that is not understood"),
    ],
)
def test_selectors_that_a_namespace_may_satisfy_both_are_refused_with_the_way_out(own, other, words):
    said = in_the_way(claim(SECOND, since=LATER, selector=own), [claim(FIRST, selector=other)])
    assert f"works in {words} already: the one of Lease {FIRST}." in said
    assert "team=a, team=b" in said
    assert (f'namespaceSelector is "{own}"' in said) == bool(own)


def test_a_selector_and_names_that_may_have_its_labels_are_refused():
    said = in_the_way(claim(SECOND, since=LATER, selector="team=a"), [claim(FIRST, "shop")])
    assert "works in shop already" in said
    assert "kubernetes.io/metadata.name notin" in said


def test_its_own_lease_is_in_nobodys_way():
    assert in_the_way(claim(FIRST, since=LATER), [claim(FIRST)]) is None, "a replica, an upgrade, a rollback"


def test_of_two_that_began_in_the_same_moment_exactly_one_waits():
    both = [claim(FIRST), claim(SECOND)]
    assert sum(in_the_way(own, both) is not None for own in both) == 1


def test_the_message_says_what_to_do_when_the_other_one_is_gone():
    said = in_the_way(claim(SECOND, since=LATER), [claim(FIRST)])
    assert "watchNamespaces" in said
    assert "kubectl delete lease first -n grpctracing-system" in said


@pytest.mark.parametrize(("namespaces", "selector"), [((), ""), (("a",), ""), (("a", "b"), ""), ((), "team in (a)")])
def test_a_claim_survives_its_lease(namespaces, selector):
    given = claim(FIRST, *namespaces, selector=selector)
    metadata = {"namespace": FIRST.namespace, "name": FIRST.name, "annotations": given.notes}
    assert Claim.of({"metadata": metadata}) == given


def test_the_lease_of_an_earlier_release_claims_nothing():
    assert Claim.of({"metadata": {"namespace": "x", "name": "y"}}) is None


def test_whatever_three_operators_claim_no_two_work_in_one_namespace():
    scopes = [(), ("a",), ("a", "b"), ("b", "c")]
    keys = [Key("x", str(number)) for number in range(3)]
    for chosen in itertools.product(scopes, repeat=3):
        claims = [
            claim(key, *scope, since=str(number)) for number, (key, scope) in enumerate(zip(keys, chosen, strict=True))
        ]
        working = [own for own in claims if in_the_way(own, claims) is None]
        assert working
        assert all(one.overlaps(other) is None for one, other in itertools.combinations(working, 2))


async def test_a_server_that_does_not_answer_has_not_said_that_nobody_is_there(monkeypatch):
    monkeypatch.setattr(neighbours, "PAUSE", 0.01)
    lease = {"metadata": {"namespace": FIRST.namespace, "name": FIRST.name, "annotations": claim(FIRST).notes}}
    async with served(FakeServer(lists=[refusal(503), refusal(500), page(1, lease)])) as client:
        with pytest.raises(Outranked, match=str(FIRST)):
            await Neighbours(client, SECOND, ()).insist()


async def test_who_changes_its_selector_is_a_newcomer():
    lease = {"metadata": {"namespace": SECOND.namespace, "name": SECOND.name}}
    lease["metadata"]["annotations"] = claim(SECOND, selector="team=a").notes
    for selector, same in (("team=a", True), ("team=b", False)):
        async with served(FakeServer(lists=[page(1, lease)])) as client:
            own = Neighbours(client, SECOND, (), parse(selector))
            await own.give_way()
        assert (own.claim.since == claim(SECOND).since) is same


async def test_one_that_may_not_look_works_all_the_same():
    async with served(FakeServer(lists=[refusal(403), refusal(403)])) as client:
        own = Neighbours(client, SECOND, ())
        await own.give_way()
        await own.insist()
    assert own.trouble is None
