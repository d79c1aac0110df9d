"""Two operators that share a cluster by the labels of namespaces: what one leaves the other finds, and patches nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from grpctracing.cli import uninstall
from grpctracing.cli.explain import explain
from grpctracing.controllers import shard as module
from grpctracing.kube.client import MERGE
from grpctracing.kube.resources import NAMESPACES
from grpctracing.kube.selectors import parse
from grpctracing.settings import Settings
from tests.api.asking import condition, finalized, gone
from tests.api.running import Place, Rollouts, connected, eventually, new_namespace, running, settled, version

pytestmark = pytest.mark.api


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, "HANDOVER", 0.5)
    monkeypatch.setattr(uninstall, "PAUSE", 0.1)


@pytest.fixture
def operator(control_plane):
    """An operator with a connection of its own, and what it writes."""

    @contextlib.asynccontextmanager
    async def run(selector):
        async with connected(control_plane.kubeconfig) as client:
            written, send = [], client._send

            async def noted(method, path, *rest):
                answer = await send(method, path, *rest)
                written.extend([f"{method} {path}"] if method != "GET" else [])
                return answer

            client._send = noted
            async with running(client, namespace_selector=parse(selector)) as engine:
                yield engine, written

    return run


async def label(place, **labels):
    body = {"metadata": {"labels": labels}}
    await place.client._json("PATCH", NAMESPACES.path(None, place.namespace), body=body, content_type=MERGE)


def there(written, place):
    return [what for what in written if f"/namespaces/{place.namespace}/" in what and "/events" not in what]


def held(engine, place):
    return {key for store in engine.world.stores for key in store if key.namespace == place.namespace}


async def test_a_namespace_that_changes_hands_sees_no_patch_and_no_rollout(place, rollouts, operator):
    await label(place, shard="a")
    before = await place.workload()
    await place.tracing()
    async with operator("shard=a") as (first, by_first), operator("shard=b") as (second, by_second):
        await eventually(place.injected, within=30)
        await eventually(lambda: finalized(place), within=30)
        await eventually(lambda: condition(place, "Ready", "True"), within=30)
        await settled(first)
        assert not held(second, place)
        found = [version(await place.must("Deployment", name)) for name in ("payment-service", "otel-collector")]
        by_first.clear()

        await label(place, shard="b")
        await eventually(lambda: second.shard.has(place.namespace) and not held(first, place), within=30)
        await settled(second)
        assert found == [
            version(await place.must("Deployment", name)) for name in ("payment-service", "otel-collector")
        ]
        assert not there(by_second, place), "it is as the other one left it"

        await place.workload("order-service")
        await eventually(lambda: place.injected("order-service"), within=30)
        await place.delete("GrpcTracing", "default")
        await eventually(lambda: gone(place, "GrpcTracing", "default"), within=30)
        assert (await place.must("Deployment", "payment-service"))["spec"] == before["spec"]
        assert not there(by_first, place), "nothing from the one that it was taken from"


async def test_a_namespace_that_comes_with_everything_in_it_is_taken_up(place, rollouts, operator):
    async with operator("shard=a") as (engine, written):
        await place.workload()
        await place.tracing()
        assert not held(engine, place)
        await label(place, shard="a")
        await eventually(place.injected, within=30)
        await label(place, shard=None)
        await eventually(lambda: not held(engine, place), within=30)
        await settled(engine)
        assert await place.injected(), "given away, not given back"
        await label(place, shard="a")
        await eventually(lambda: engine.shard.has(place.namespace), within=30)
        await settled(engine)
        patches = [what for what in there(written, place) if "PATCH" in what and "/deployments/payment-service" in what]
        assert len(patches) == 1


async def test_uninstalling_one_leaves_the_other_ones_namespaces_alone(place, rollouts, operator, control_plane):
    other = Place(place.client, await new_namespace(place.client))
    completing = asyncio.create_task(Rollouts(other.client, other.namespace).run())
    try:
        async with operator("shard in (c, d)"):
            for each, shard in ((place, "c"), (other, "d")):
                await label(each, shard=shard)
                await each.workload()
                await each.tracing()
                await eventually(each.injected, within=30)
                await eventually(lambda each=each: finalized(each))
    finally:
        completing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await completing
    settings = Settings.from_env({"GRPCTRACING_NAMESPACE_SELECTOR": "shard=c"})
    assert await uninstall.uninstall(settings, {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig)}) == 0
    assert await place.clean()
    assert not await finalized(place)
    assert await other.injected()
    assert await finalized(other)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"namespace_selector": parse("shard=x")}, 'do not match namespaceSelector "shard=x"'),
        ({"watch_namespaces": ("elsewhere",)}, "watchNamespaces does not list"),
        ({"namespace_selector": parse("!shard")}, ""),
    ],
    ids=["labels", "names", "its own"],
)
async def test_explain_says_where_a_namespace_is_another_operators(place, control_plane, capsys, settings, words):
    await place.workload()
    environ = {"KUBECONFIG": str(control_plane.kubeconfig)}
    assert await explain(Settings(**settings), environ, ("Deployment", place.namespace, "payment-service")) == 0
    said = capsys.readouterr().out
    assert ("Operator    not this one" in said) == bool(words)
    assert words in said


async def test_labels_are_read_as_the_api_server_reads_them(place):
    await label(place, **{"shard": "a", "example.com/team": "", "stage": "test"})
    live = (await place.client.get(NAMESPACES, "", place.namespace))["metadata"]["labels"]
    for text in (
        "shard=a",
        "shard == b",
        "shard!=b",
        "shard!=a,stage",
        "shard in (a,b),!legacy",
        "stage notin ( live )",
        "legacy notin (x)",
        "example.com/team",
        "example.com/team=",
        "!example.com/team",
        f"kubernetes.io/metadata.name in ({place.namespace}, default)",
    ):
        found = {each["metadata"]["name"] for each in await place.client.list(NAMESPACES, selector=text)}
        assert (place.namespace in found) == parse(text).matches(live), text
