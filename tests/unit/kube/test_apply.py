"""Owned objects: written when they differ, never when they are somebody else's."""

from __future__ import annotations

import copy

import pytest

from grpctracing.kube import errors
from grpctracing.kube.apply import APPLIED, NameTaken, contains, ensure, foreign_keys, stamped
from tests.unit.kube.fake_server import FakeServer, refusal, served

OWNER = {
    "apiVersion": "grpctracing.dev/v1alpha1",
    "kind": "GrpcTracing",
    "name": "default",
    "uid": "owner",
    "controller": True,
}
DESIRED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "grpctracing-default-bootstrap",
        "namespace": "production",
        "labels": {"app.kubernetes.io/managed-by": "grpctracing"},
        "ownerReferences": [OWNER],
    },
    "data": {"sitecustomize.py": "# stub"},
}


def live(**changes):
    obj = copy.deepcopy(stamped(DESIRED))
    obj["metadata"] |= {"uid": "u", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return obj | changes


async def ensured(server_has, cached):
    writes = []

    def respond(request):
        if request.method == "GET":
            return server_has or refusal(404)
        writes.append((request.method, dict(request.query)))
        return live()

    fake = FakeServer(respond=respond)
    async with served(fake) as client:
        written = await ensure(client, DESIRED, cached)
    return written, writes, fake


async def test_what_is_right_is_left_alone_without_a_request():
    written, _, fake = await ensured(live(), live())
    assert written is None
    assert fake.asked == []


async def test_what_is_missing_is_made_without_force():
    _, writes, fake = await ensured(None, None)
    assert writes == [("PATCH", {"fieldManager": "grpctracing", "fieldValidation": "Strict", "force": "false"})]
    assert fake.bodies[0]["metadata"]["annotations"][APPLIED]


@pytest.mark.parametrize(
    "drifted",
    [
        live(data={"sitecustomize.py": "# changed"}),
        live(data={}),
        live(metadata=live()["metadata"] | {"annotations": {APPLIED: "an older release"}}),
    ],
    ids=["changed", "removed", "by an older release"],
)
async def test_drift_is_put_right_with_force_on_that_very_object(drifted):
    _, writes, fake = await ensured(drifted, drifted)
    assert [query["force"] for _, query in writes] == ["true"]
    assert fake.bodies[0]["metadata"]["uid"] == "u"


async def test_a_file_that_somebody_added_is_taken_out():
    drifted = live(data={**DESIRED["data"], "json.py": "print()"}, binaryData={"x.so": "AAAA"})
    _, writes, fake = await ensured(drifted, drifted)
    assert len(writes) == 1
    assert fake.bodies == [{"data": {"json.py": None}, "binaryData": {"x.so": None}}]


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {}},
        {"ownerReferences": []},
        {"ownerReferences": [{**OWNER, "uid": "another object of that name"}]},
    ],
    ids=["no label", "no owner", "other owner"],
)
async def test_what_is_not_ours_is_refused_and_not_touched(metadata):
    theirs = live(metadata=live()["metadata"] | metadata)
    with pytest.raises(NameTaken, match='ConfigMap "grpctracing-default-bootstrap"'):
        await ensured(theirs, None)


async def test_an_object_that_appears_in_the_same_moment_is_theirs():
    fake = FakeServer(respond=lambda request: refusal(404 if request.method == "GET" else 409))
    async with served(fake) as client:
        with pytest.raises(NameTaken):
            await ensure(client, DESIRED, None)


async def test_what_is_being_deleted_is_waited_for():
    dying = live(metadata=live()["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:01Z"})
    with pytest.raises(errors.Conflict, match="being deleted"):
        await ensured(dying, dying)


@pytest.mark.parametrize(
    ("has", "wanted", "same"),
    [
        ({"a": 1, "default": True}, {"a": 1}, True),
        ({"a": 2}, {"a": 1}, False),
        ({}, {"a": 1}, False),
        ({}, {"a": {}, "b": [], "c": None, "d": False, "e": ""}, True),
        ({"l": [{"x": 1, "y": 2}]}, {"l": [{"x": 1}]}, True),
        ({"l": [{"x": 1}, {"x": 2}]}, {"l": [{"x": 1}]}, False),
        ({"l": [2, 1]}, {"l": [1, 2]}, False),
        ({"cpu": "500m"}, {"cpu": "0.5"}, True),
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, True),
        ({"memory": "1Gi"}, {"memory": "1G"}, False),
        ({"cpu": "1"}, {"cpu": 1}, True),
        ({"a": "text"}, {"a": {}}, False),
    ],
)
def test_contains(has, wanted, same):
    assert contains(has, wanted) is same


def test_only_a_config_map_is_held_to_its_keys():
    assert foreign_keys({"kind": "Secret", "data": {}}, {"data": {"x": "y"}}) == {}
