"""The informer against a server that misbehaves: what is in the store afterwards is what the server has."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest
from aiohttp import web

from grpctracing.kube import informer as module
from grpctracing.kube.informer import PAGE, Informer
from grpctracing.kube.part import Part
from grpctracing.kube.resources import DEPLOYMENTS, Key
from grpctracing.kube.store import Store
from tests.unit.kube.fake_server import FakeServer, eventually, page, refusal, served, thing

A, B, C = (Key("production", name) for name in "abc")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, "FIRST_BACKOFF", 0.01)


@contextlib.asynccontextmanager
async def following(fake, **options):
    store, heard = Store(), []
    store.listen(lambda key, before, after: heard.append((key.name, bool(before), bool(after))))
    async with served(fake) as client:
        informer = Informer(client, DEPLOYMENTS, store, **options)
        task = asyncio.create_task(informer.run())
        try:
            await asyncio.wait_for(informer.synced.wait(), 5)
            yield store, heard
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def event(kind, obj):
    return {"type": kind, "object": obj}


def names(store):
    return {key.name for key in store}


async def test_pages_are_put_together():
    fake = FakeServer(lists=[page(5, thing("a", 1), token="more"), page(5, thing("b", 2))])
    async with following(fake) as (store, _):
        assert names(store) == {"a", "b"}
        assert [query.get("continue") for _, _, query in fake.asked[:2]] == [None, "more"]
        assert all(query["limit"] == str(PAGE) for _, _, query in fake.asked[:2])


async def test_a_list_is_projected_page_by_page_and_its_objects_once():
    """All of a large list whole would take several times the memory of what is kept."""
    seen = []

    def project(obj):
        seen.append((obj["metadata"]["name"], len(fake.asked)))
        return {"metadata": obj["metadata"]}

    fake = FakeServer(lists=[page(5, thing("a", 1, spec={}), token="more"), page(5, thing("b", 2, spec={}))])
    store = Store(project)
    async with served(fake) as client:
        informer = Informer(client, DEPLOYMENTS, store)
        await informer._list()
    assert seen == [("a", 1), ("b", 2)]
    assert store.get(A) == {"metadata": thing("a", 1)["metadata"]}


async def test_the_watch_begins_where_the_list_ended_and_asks_for_bookmarks():
    fake = FakeServer(lists=[page(5)])
    async with following(fake, namespace="production", selector="a=b"):
        await eventually(lambda: fake.open_watches)
        method, path, query = fake.asked[-1]
        assert (method, path) == ("GET", "/apis/apps/v1/namespaces/production/deployments")
        assert query["resourceVersion"] == "5"
        assert query["allowWatchBookmarks"] == "true"
        assert query["labelSelector"] == "a=b"


async def test_events_change_the_store():
    script = [event("ADDED", thing("b", 6)), event("MODIFIED", thing("a", 7)), event("DELETED", thing("b", 8))]
    async with following(FakeServer(lists=[page(5, thing("a", 1))], watches=[script])) as (store, heard):
        await eventually(lambda: len(heard) == 4)
        assert heard == [("a", False, True), ("b", False, True), ("a", True, True), ("b", True, False)]
        assert store.get(A)["metadata"]["resourceVersion"] == "7"


async def test_a_watch_that_ends_goes_on_from_the_last_bookmark_without_a_new_list():
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "42"}})
    fake = FakeServer(lists=[page(5)], watches=[[bookmark, "end"]])
    async with following(fake):
        await eventually(lambda: fake.open_watches == 2)
        assert fake.asked[-1][2]["resourceVersion"] == "42"
        assert fake.count(watch=False) == 1


async def test_a_cut_connection_goes_on_from_where_it_was():
    fake = FakeServer(lists=[page(5)], watches=[[event("ADDED", thing("a", 9)), b'{"type": "ADD', "cut"]])
    async with following(fake) as (store, _):
        await eventually(lambda: fake.open_watches == 2)
        assert fake.asked[-1][2]["resourceVersion"] == "9"
        assert fake.count(watch=False) == 1
        assert names(store) == {"a"}


@pytest.mark.parametrize(
    "expiry",
    [[refusal(410)], [event("ERROR", {"code": 410, "message": "too old"})]],
    ids=["as the answer", "as an event"],
)
async def test_after_410_what_is_missing_from_the_new_list_has_been_deleted(expiry):
    lists = [page(5, thing("a", 1), thing("b", 2)), page(50, thing("b", 2), thing("c", 40))]
    async with following(FakeServer(lists=lists, watches=[expiry])) as (store, heard):
        await eventually(lambda: names(store) == {"b", "c"})
        assert heard == [("a", False, True), ("b", False, True), ("c", False, True), ("a", True, False)]


async def test_410_in_the_middle_of_a_list_begins_it_anew():
    lists = [page(5, thing("a", 1), token="more"), refusal(410), page(9, thing("b", 8))]
    async with following(FakeServer(lists=lists)) as (store, _):
        assert names(store) == {"b"}, "half of an expired list is no list"


@pytest.mark.parametrize("code", [401, 403, 404, 500, 503])
async def test_a_refused_list_is_asked_for_again(code):
    async with following(FakeServer(lists=[refusal(code), refusal(code), page(5, thing("a", 1))])) as (store, _):
        assert names(store) == {"a"}


async def test_a_silent_watch_is_dead():
    fake = FakeServer(lists=[page(5)])
    async with following(fake, inactivity=0.1):
        await eventually(lambda: fake.open_watches >= 2)
        assert fake.count(watch=False) == 1


async def test_a_resync_announces_everything_again_without_a_request():
    fake = FakeServer(lists=[page(5, thing("a", 1))])
    async with following(fake, resync=0.05) as (_, heard):
        await eventually(lambda: heard.count(("a", True, True)) >= 2)
        assert fake.count(watch=False) == 1


async def test_a_resync_lets_others_in_between():
    store, told, seen = Store(), [], [0]
    for number in range(1000):
        store.put(thing(f"service-{number}", 1))
    store.listen(lambda key, *_: told.append(key))

    async def other():
        while True:
            seen.append(len(told))
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await Informer(None, DEPLOYMENTS, store)._announce()
    task.cancel()
    assert len(told) == 1000
    assert max(later - sooner for sooner, later in itertools.pairwise([*seen, len(told)])) <= 100


async def test_a_recreated_object_survives_the_late_news_of_its_predecessor():
    script = [
        event("ADDED", thing("a", 9, uid="new")),
        event("DELETED", thing("a", 8, uid="old")),
        event("ADDED", thing("b", 10)),
    ]
    async with following(FakeServer(lists=[page(5)], watches=[script])) as (store, _):
        await eventually(lambda: store.get(B))
        assert store.get(A)["metadata"]["uid"] == "new"


async def test_one_event_larger_than_any_buffer_arrives_whole():
    large = thing("a", 9, text="x" * 3_000_000)
    async with following(FakeServer(lists=[page(5)], watches=[[event("ADDED", large)]])) as (store, _):
        obj = await eventually(lambda: store.get(A))
        assert len(obj["text"]) == 3_000_000


def test_our_own_write_is_not_overtaken_by_an_older_event():
    store = Store()
    assert store.put(thing("a", 10))
    assert not store.put(thing("a", 9))
    assert not store.put(thing("a", 10))
    assert store.put(thing("a", 11))
    assert store.get(A)["metadata"]["resourceVersion"] == "11"


def test_a_list_of_one_namespace_leaves_the_others_alone():
    store = Store()
    store.put(thing("a", 1))
    store.put(thing("z", 1, namespace="staging"))
    store.put(thing("c", 2))
    store.keep_only("production", {C})
    assert set(store) == {C, Key("staging", "z")}


async def test_a_410_on_each_list_is_asked_for_with_growing_pauses():
    gone = [refusal(410, "the provided continue parameter is too old") for _ in range(8)]
    fake = FakeServer(lists=[page(5), *gone, page(9, thing("b", 8))], watches=[[refusal(410)]])
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with following(fake) as (store, _):
        await eventually(lambda: names(store) == {"b"})
    assert loop.time() - begun > 0.3, "sixteen milliseconds at least after the first, doubled each time"


async def test_a_watch_that_ends_at_once_each_time_is_no_loop():
    fake = FakeServer(lists=[page(5)], watches=[["end"]] * 1000)
    async with following(fake):
        await asyncio.sleep(0.5)
        assert fake.count(watch=True) < 20
        assert fake.count(watch=False) == 1


async def test_an_answer_that_is_not_json_is_one_more_failure():
    page_of_a_proxy = web.Response(text="<html>a login page", content_type="text/html")
    fake = FakeServer(lists=[page_of_a_proxy, page(5)], watches=[[b"<html>\n"], [event("ADDED", thing("a", 6))]])
    async with following(fake) as (store, _):
        await eventually(lambda: names(store) == {"a"})


async def test_what_the_server_asks_for_is_waited_for():
    fake = FakeServer(lists=[refusal(503, **{"Retry-After": "1"}), page(5)])
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with following(fake):
        assert loop.time() - begun >= 1


def part_of(*namespaces):
    return Part(set(namespaces).__contains__)


async def test_of_a_part_the_other_namespaces_are_passed_over():
    mine, other = thing("a", 1), thing("b", 2, namespace="staging")
    script = [event("ADDED", thing("x", 6, namespace="staging")), event("ADDED", thing("c", 7))]
    fake = FakeServer(lists=[page(5, mine, other)], watches=[script])
    async with following(fake, part=part_of("production")) as (store, heard):
        await eventually(lambda: store.get(C))
        assert heard == [("a", False, True), ("c", False, True)]


async def test_a_namespace_that_comes_is_as_the_server_has_it_whatever_the_watch_told_meanwhile():
    namespaces, store = {"production"}, Store()
    before, at, after = (str(version) for version in (8, 10, 12))

    def respond(request):
        if "/namespaces/staging/" not in request.path:
            return page(5, thing("a", 1))
        for kind, name, version in (
            ("ADDED", "gone", before),  # deleted before the list
            ("MODIFIED", "x", before),
            ("DELETED", "y", after),
            ("ADDED", "z", after),
        ):
            informer._take(event(kind, thing(name, version, namespace="staging")))
        return page(at, thing("x", 9, namespace="staging"), thing("y", 7, namespace="staging"))

    async with served(FakeServer(respond=respond)) as client:
        informer = Informer(client, DEPLOYMENTS, store, part=Part(lambda name: name in namespaces))
        await informer._list()
        informer._take(event("ADDED", thing("early", 6, namespace="staging")))
        namespaces.add("staging")
        informer._take(event("ADDED", thing("w", 7, namespace="staging")))  # and deleted, of which no word has come yet
        await informer.take_up("staging")
        assert names(store) == {"a", "x", "z"}
        informer._take(event("MODIFIED", thing("w", 8, namespace="staging")))
        assert names(store) == {"a", "x", "z"}, "older than the list"
        informer._take(event("ADDED", thing("v", 13, namespace="staging")))
        assert names(store) == {"a", "x", "z", "v"}
