"""What a container takes from a ConfigMap is the user's."""

from __future__ import annotations

import pytest

from tests.api.running import deployment, env_of, eventually, running

pytestmark = pytest.mark.api


async def test_what_a_container_takes_from_a_config_map_is_the_users(place, rollouts):
    names = {"OTEL_TRACES_SAMPLER": "always_on", "LOG_LEVEL": "info"}
    await place.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": names})
    await place.create(taking_from({"configMapRef": {"name": "settings"}}))
    await place.tracing()
    async with running(place.client, place.namespace):
        live = await eventually(place.injected)
    assert not {"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"} & env_of(live).keys()


async def test_a_pythonpath_from_a_config_map_is_never_hidden(place, rollouts):
    path = {"PATH": "/app"}
    await place.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": path})
    before = await place.create(taking_from({"prefix": "PYTHON", "configMapRef": {"name": "settings"}}))
    await place.tracing()
    async with running(place.client, place.namespace):
        assert await eventually(lambda: refused_as(place, "PythonPathFromSource"))
    assert (await place.must("Deployment", "payment-service"))["spec"] == before["spec"]


async def refused_as(place, reason):
    return (await place.listed()).get("payment-service", {}).get("reason") == reason


def taking_from(source):
    made = deployment("payment-service")
    made["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [source]
    return made
