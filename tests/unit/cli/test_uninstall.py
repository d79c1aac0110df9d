"""Hand work with few rights: it does what it may, and says what it may not."""

from __future__ import annotations

import pytest

from grpctracing.cli.uninstall import NO_RIGHT, Uninstall
from grpctracing.kube import errors


class Server:
    """Refuses *verb* on policies, of which there is one in namespace `shop`."""

    def __init__(self, verb):
        self.verb = verb

    async def list(self, resource, namespace=None, *, selector=""):
        if self.verb == "list":
            raise errors.Forbidden(403, "policies are not yours to list")
        labels = {"grpctracing.dev/namespace": "shop", "grpctracing.dev/tracing": "default"}
        return [{"metadata": {"name": "default.shop.grpctracing.dev", "labels": labels}}]

    async def delete(self, resource, obj):
        raise errors.Forbidden(403, "policies are not yours to delete")


@pytest.mark.parametrize("verb", ["list", "delete"])
async def test_policies_that_are_not_ours_to_delete_are_named_and_the_rest_goes_on(verb, capsys):
    work = Uninstall(Server(verb), ("shop",))
    for _ in range(2):
        await work._remove_policies()
    assert capsys.readouterr().out.count(NO_RIGHT) == 1, "once, however many passes it takes"
    assert sum(work.done.values()) == 0


async def test_the_hook_of_an_operator_that_never_had_the_right_says_nothing(capsys):
    await Uninstall(Server("list"), ("shop",), operator=("tracing", "operator"))._remove_policies()
    assert capsys.readouterr().out == ""
