"""Which pods' images are looked into where no workload is behind them, and how often the API server is asked for them."""

from __future__ import annotations

import logging

import pytest

from grpctracing.controllers.discovery import PAUSE_SECONDS, SECONDS_PER_POD, Discovery
from grpctracing.controllers.world import World
from grpctracing.injection.findings import Failure
from grpctracing.kube import errors
from tests.unit.injection.builders import tracing

ADMISSION = {"selector": {"matchLabels": {"tier": "batch"}}, "rollout": {"strategy": "Admission"}}


class Cluster:
    """The API server and the preflight in one: *pods* are listed, what is *asked* for is remembered.

    A look has *failed* at some containers' images, and is *due* again at some of these.
    """

    def __init__(self):
        self.pods, self.listed, self.asked, self.refusal, self.now = [], [], [], None, 100.0
        self.failed, self.due_again, self.policies = set(), set(), True

    async def list(self, _resource, namespace, *, selector):
        self.listed.append((namespace, selector))
        if self.refusal:
            raise self.refusal
        return self.pods

    def probed(self, workload, _tracing):
        names = [each["name"] for each in workload["spec"]["template"]["spec"]["containers"]]
        return {name: Failure("no node") if name in self.failed else None for name in names}

    def due(self, workload, _tracing):
        names = [each["name"] for each in workload["spec"]["template"]["spec"]["containers"]]
        return tuple(name for name in names if name in self.due_again)

    def in_force(self, _tracing):
        return self.policies

    def ask(self, workload, pod, asked_by, containers):
        assert workload is None
        self.asked.append((pod["metadata"]["name"], asked_by.metadata.name, containers))


@pytest.fixture
def cluster():
    return Cluster()


def discovery(cluster, *tracings):
    world = World()
    for each in tracings:
        world.tracings.put({**each.model_dump(by_alias=True, mode="json", exclude_none=True)})
    return Discovery(cluster, world, cluster, cluster.in_force, clock=lambda: cluster.now)


def pod(name, container="app", **metadata):
    metadata = {"labels": {"tier": "batch"}, **metadata}
    return {
        "metadata": {"name": name, "namespace": "production", **metadata},
        "spec": {"containers": [{"name": container, "image": "jobs:1"}]},
    }


def made(name="default", **spec):
    return tracing(name, spec={**ADMISSION, **spec}, resourceVersion="1")


async def test_pods_of_a_namespace_that_is_not_ours_yet_are_not_listed(cluster):
    looking = discovery(cluster, made())
    looking.ours = lambda _: False
    await looking.look()
    assert not cluster.listed
    looking.ours = lambda _: True
    await looking.look()
    assert cluster.listed


async def test_only_pods_that_the_policy_is_for_are_looked_into(cluster):
    opted_out = {"grpctracing.dev/inject": "false"}
    asked_for = {"grpctracing.dev/inject": "default"}
    cluster.pods = [
        pod("job"),
        pod("other", labels={}),
        pod("asked", labels={}, annotations=asked_for),
        pod("out", annotations=opted_out),
        pod("sidecar", "istio-proxy"),
    ]
    await discovery(cluster, made()).look()
    assert cluster.asked == [("job", "default", ("app",)), ("asked", "default", ("app",))]


@pytest.mark.parametrize(
    "spec",
    [
        {"preflight": "Never"},
        {"rollout": {"strategy": "Patch"}},
        {"rollout": {"strategy": "Admission", "mode": "Plan"}},
    ],
)
async def test_nobody_is_asked_where_no_policy_goes_by_it(cluster, spec):
    await discovery(cluster, made(**spec)).look()
    assert not cluster.listed


async def test_nobody_is_asked_before_the_policy_is_in_force(cluster):
    cluster.pods, cluster.policies = [pod("job")], False
    looking = discovery(cluster, made())
    await looking.look()
    assert not cluster.listed
    cluster.policies = True
    await looking.look()
    assert cluster.asked


async def test_an_image_that_could_not_be_looked_into_gets_another_look_when_its_time_has_come(cluster):
    cluster.pods, cluster.failed = [pod("job")], {"app"}
    looking = discovery(cluster, made())
    await looking.look()
    assert not cluster.asked
    cluster.due_again, cluster.now = {"app"}, cluster.now + PAUSE_SECONDS
    await looking.look()
    assert cluster.asked == [("job", "default", ("app",))]


async def test_the_more_pods_the_less_often(cluster):
    looking = discovery(cluster, made())
    cluster.pods = [pod(f"job-{number}") for number in range(2000)]
    waited = 2000 * SECONDS_PER_POD
    for pause, listed in ((0.0, 1), (PAUSE_SECONDS, 1), (waited - PAUSE_SECONDS, 2)):
        cluster.now += pause
        await looking.look()
        assert len(cluster.listed) == listed


async def test_a_refusal_is_told_and_asked_again_later(cluster, caplog):
    cluster.refusal = errors.Forbidden(403, "pods is forbidden")
    looking = discovery(cluster, made())
    with caplog.at_level(logging.WARNING):
        await looking.look()
        await looking.look()
    assert [record.namespace for record in caplog.records] == ["production"]
    cluster.refusal, cluster.now = None, cluster.now + PAUSE_SECONDS
    await looking.look()
    assert len(cluster.listed) == 2
