"""Our finalizer without kopf: what others have put there stays, and nothing is written that is there already."""

from __future__ import annotations

from grpctracing.controllers.finalizer import FINALIZER, Finalizers
from grpctracing.controllers.world import World
from grpctracing.kube import errors

OTHERS = "example.com/theirs"


class Server:
    def __init__(self, error=None):
        self.sent, self.error = [], error

    async def patch(self, _resource, _namespace, _name, body, *, kind):
        self.sent.append(body["metadata"])
        if self.error is not None:
            raise self.error
        return {"metadata": {"namespace": "shop", "name": "default", **body["metadata"], "resourceVersion": "8"}}


def given(*finalizers, **metadata):
    return {
        "metadata": {
            "namespace": "shop",
            "name": "default",
            "uid": "u",
            "resourceVersion": "7",
            "finalizers": list(finalizers),
            **metadata,
        }
    }


async def test_it_is_put_behind_those_of_others_and_guarded_by_the_version():
    finalizers = Finalizers(server := Server(), World())
    await finalizers.put_on(given(OTHERS))
    assert server.sent == [{"uid": "u", "resourceVersion": "7", "finalizers": [OTHERS, FINALIZER]}]
    (kept,) = finalizers.world.tracings.in_namespace("shop")
    await finalizers.put_on(kept)
    assert len(server.sent) == 1


async def test_only_ours_is_taken_off():
    finalizers = Finalizers(server := Server(), World())
    await finalizers.take_off(given(FINALIZER, OTHERS, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert server.sent[-1]["finalizers"] == [OTHERS]
    await finalizers.take_off(given(OTHERS))
    assert len(server.sent) == 1


async def test_an_object_that_is_gone_with_it_is_not_put_back():
    finalizers = Finalizers(Server(), World())
    await finalizers.take_off(given(FINALIZER, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert not list(finalizers.world.tracings)
    await Finalizers(Server(errors.NotFound(404, "gone")), World()).take_off(given(FINALIZER))
