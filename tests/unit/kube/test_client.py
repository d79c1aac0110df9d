"""Requests: what goes over the wire, and what an answer becomes."""

from __future__ import annotations

import pytest
from aiohttp import web

from grpctracing.kube import errors
from grpctracing.kube.client import STRATEGIC
from grpctracing.kube.limit import TokenBucket
from grpctracing.kube.resources import CONFIG_MAPS, DEPLOYMENTS, GRPC_TRACINGS
from tests.unit.kube.fake_server import FakeServer, page, refusal, served, thing


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, errors.Forbidden),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Gone),
        (422, errors.Invalid),
        (429, errors.Unavailable),
        (500, errors.Unavailable),
        (503, errors.Unavailable),
        (418, errors.ApiError),
    ],
)
async def test_a_status_becomes_its_error_with_the_servers_words(code, kind):
    fake = FakeServer(respond=lambda _: refusal(code, "the field is wrong"))
    async with served(fake) as client:
        with pytest.raises(kind, match="the field is wrong") as caught:
            await client.get(DEPLOYMENTS, "production", "a")
    assert caught.value.status == code
    assert type(caught.value) is kind


async def test_an_answer_that_is_no_status_is_told_as_it_is():
    fake = FakeServer(respond=lambda _: web.Response(status=502, text="<html>bad gateway"))
    async with served(fake) as client:
        with pytest.raises(errors.Unavailable, match="bad gateway"):
            await client.get(DEPLOYMENTS, "production", "a")


async def test_nobody_listening_is_unavailable():
    async with served(FakeServer()) as client:
        client.configuration.host = "http://127.0.0.1:9"
        with pytest.raises(errors.Unavailable, match="no answer"):
            await client.get(DEPLOYMENTS, "production", "a")


async def test_retry_after_is_obeyed():
    answers = [refusal(429, **{"Retry-After": "0"}), thing("a", 1)]
    async with served(FakeServer(respond=lambda _: answers.pop(0))) as client:
        assert (await client.get(DEPLOYMENTS, "production", "a"))["metadata"]["name"] == "a"


async def test_a_server_that_is_always_busy_is_asked_three_times():
    fake = FakeServer(respond=lambda _: refusal(429, **{"Retry-After": "0"}))
    async with served(fake) as client:
        with pytest.raises(errors.Unavailable):
            await client.get(DEPLOYMENTS, "production", "a")
    assert len(fake.asked) == 3


async def test_a_patch_names_its_manager_and_is_strict():
    fake = FakeServer(respond=lambda _: thing("a", 2))
    async with served(fake) as client:
        await client.patch(DEPLOYMENTS, "production", "a", {"spec": {}}, kind=STRATEGIC)
    method, path, query = fake.asked[0]
    assert (method, path) == ("PATCH", "/apis/apps/v1/namespaces/production/deployments/a")
    assert query == {"fieldManager": "grpctracing", "fieldValidation": "Strict"}
    assert fake.bodies == [{"spec": {}}]


@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.patch(DEPLOYMENTS, "production", "a", {}, kind=STRATEGIC),
        lambda client: client.apply(CONFIG_MAPS, thing("a", 1), force=True),
        lambda client: client.create(CONFIG_MAPS, "production", {}),
        lambda client: client.delete(CONFIG_MAPS, thing("a", 1)),
    ],
    ids=["patch", "apply", "create", "delete"],
)
async def test_who_does_not_lead_reads_and_sends_no_write(write):
    fake = FakeServer(respond=lambda _: thing("a", 1))
    async with served(fake) as client:
        client.may_write = lambda: False
        with pytest.raises(errors.NotLeader, match="does not lead"):
            await write(client)
        assert not fake.asked
        await client.get(DEPLOYMENTS, "production", "a")


async def test_leadership_lost_while_the_server_said_later_is_noticed_before_the_next_attempt():
    answers = iter([True, False])
    fake = FakeServer(respond=lambda _: refusal(429, **{"Retry-After": "0"}))
    async with served(fake) as client:
        client.may_write = lambda: next(answers)
        with pytest.raises(errors.NotLeader):
            await client.patch(DEPLOYMENTS, "production", "a", {}, kind=STRATEGIC)
    assert len(fake.asked) == 1


async def test_a_deletion_names_the_uid_and_forgives_what_is_gone():
    fake = FakeServer(respond=lambda _: refusal(404))
    async with served(fake) as client:
        await client.delete(CONFIG_MAPS, thing("a", 1, uid="u"))
    assert fake.bodies[0]["preconditions"] == {"uid": "u"}


async def test_a_list_follows_its_pages():
    fake = FakeServer(lists=[page(1, thing("a", 1), token="more"), page(1, thing("b", 1))])
    async with served(fake) as client:
        found = await client.list(GRPC_TRACINGS)
    assert [obj["metadata"]["name"] for obj in found] == ["a", "b"]
    assert fake.asked[0][1] == "/apis/grpctracing.dev/v1alpha1/grpctracings"


def test_the_bucket_lets_a_burst_through_and_then_the_rate():
    now = 0.0
    bucket = TokenBucket(10, 2, clock=lambda: now)
    assert [bucket.reserve() for _ in range(4)] == [0, 0, 0.1, 0.2]
    now = 10.0
    assert bucket.reserve() == 0
