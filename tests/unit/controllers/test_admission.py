"""Policies are written when they are asked for, once; what stands in the way is told, and cost nobody else a request."""

from __future__ import annotations

import pytest

from grpctracing.controllers import admission as module
from grpctracing.controllers.admission import Admission
from grpctracing.controllers.board import Facts
from grpctracing.controllers.world import World
from grpctracing.kube import errors
from grpctracing.kube.resources import POLICIES, Key
from tests.unit.injection.builders import tracing

ASKED = tracing(spec={"selector": {}, "rollout": {"strategy": "Admission"}})
KEY = Key("production", "default")


class Server:
    """Keeps what is applied; refuses with *error*, where that is set."""

    def __init__(self, error=None):
        self.error = error
        self.calls = []
        self.objects = {}

    def _call(self, verb, resource, name):
        self.calls.append((verb, resource.kind))
        if self.error is not None:
            raise self.error
        return self.objects.get((resource.kind, name))

    async def get(self, resource, namespace, name):
        if (obj := self._call("get", resource, name)) is None:
            raise errors.NotFound(404, "not found")
        return obj

    async def list(self, resource, namespace=None, *, selector=""):
        self._call("list", resource, "")
        return [obj for (kind, _), obj in self.objects.items() if kind == resource.kind]

    async def apply(self, resource, body, *, force):
        self._call("apply", resource, body["metadata"]["name"])
        body["metadata"]["uid"] = "uid"
        self.objects[resource.kind, body["metadata"]["name"]] = body
        return body

    async def delete(self, resource, obj):
        self._call("delete", resource, obj["metadata"]["name"])
        self.objects.pop((resource.kind, obj["metadata"]["name"]))


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def controller(server, *, cluster_wide=True):
    made = Admission(server, World(), cluster_wide, clock=Clock())
    made.world.tracings.put(
        {"metadata": {"namespace": KEY.namespace, "name": KEY.name, "uid": "u", "resourceVersion": "1"}}
    )
    return made


async def test_written_once_then_only_compared_now_and_then():
    admission = controller(server := Server())
    await admission.ensure(ASKED, [ASKED], Facts())
    assert [call for call in server.calls if call[0] == "apply"] == [
        ("apply", "MutatingAdmissionPolicy"),
        ("apply", "MutatingAdmissionPolicyBinding"),
    ]
    server.calls.clear()
    await admission.ensure(ASKED, [ASKED], Facts())
    assert not server.calls
    admission.clock.now += module.FRESH + 1
    await admission.ensure(ASKED, [ASKED], Facts())
    assert {verb for verb, _ in server.calls} == {"get"}


async def test_in_force_only_after_every_api_server_has_had_time():
    admission = controller(Server())
    assert not (await admission.ensure(ASKED, [ASKED], Facts())).policy
    wait = admission.settling(KEY)
    assert 0 < wait <= module.SPREADING + 0.1
    admission.clock.now += wait
    assert (await admission.ensure(ASKED, [ASKED], Facts())).policy
    assert admission.settling(KEY) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.NotFound(404, "the server could not find the requested resource"), "AdmissionNotServed"),
        (errors.Forbidden(403, "no"), "NotPermitted"),
        (errors.Invalid(422, "no such attribute"), "PolicyRefused"),
    ],
)
async def test_what_stands_in_the_way_is_told(error, reason):
    facts = await controller(Server(error)).ensure(ASKED, [ASKED], Facts())
    assert facts.trouble[0] == reason
    assert not facts.policy


async def test_a_server_that_gives_no_answer_is_asked_again():
    with pytest.raises(errors.Unavailable):
        await controller(Server(errors.Unavailable(0, "gone"))).ensure(ASKED, [ASKED], Facts())


@pytest.mark.parametrize(
    ("object_", "cluster_wide", "facts"),
    [
        (tracing(spec={"selector": {}}), True, Facts()),
        (ASKED, False, Facts()),
        (ASKED, True, Facts(trouble=("NameTaken", "the ConfigMap is somebody else's"))),
        (tracing(spec={"rollout": {"strategy": "Admission", "mode": "Plan"}}), True, Facts()),
    ],
    ids=["patch", "watchNamespaces", "no-bootstrap", "plan"],
)
async def test_nobody_else_costs_a_request(object_, cluster_wide, facts):
    admission = controller(server := Server(), cluster_wide=cluster_wide)
    await admission.sweep()
    server.calls.clear()
    assert not (await admission.ensure(object_, [object_], facts)).policy
    await admission.remove(KEY)
    assert not server.calls


async def test_removed_with_the_binding_first():
    admission = controller(server := Server())
    await admission.ensure(ASKED, [ASKED], Facts())
    server.calls.clear()
    await admission.remove(KEY)
    assert [call for call in server.calls if call[0] == "delete"] == [("delete", item.kind) for item in POLICIES]
    assert not server.objects
    assert not admission.in_force(KEY)


async def test_after_a_restart_it_is_in_force_at_once_and_leftovers_go():
    await controller(server := Server()).ensure(ASKED, [ASKED], Facts())
    again = controller(server)
    await again.sweep()
    assert server.objects
    assert again.in_force(KEY)
    orphaned = controller(server)
    orphaned.world.tracings.remove(KEY)
    await orphaned.sweep()
    assert not server.objects


async def test_what_another_operator_has_written_is_not_swept_up_until_its_namespace_comes():
    await controller(server := Server()).ensure(ASKED, [ASKED], Facts())
    other = controller(server)
    other.world.tracings.drop(KEY.namespace)
    ours = set()
    other.ours = ours.__contains__
    await other.sweep()
    assert server.objects
    ours.add(KEY.namespace)
    other.sweep_again()
    await other.sweep()
    assert not server.objects, "no object stands behind it"


async def test_no_policy_is_written_for_a_namespace_that_was_given_away_meanwhile():
    admission = controller(server := Server())
    admission.ours = lambda _: False
    with pytest.raises(errors.NotOurs):
        await admission.ensure(ASKED, [], Facts())
    assert not server.objects


async def test_a_policy_that_is_another_operators_from_now_on_stays():
    admission = controller(server := Server())
    await admission.ensure(ASKED, [ASKED], Facts())
    admission.world.drop(KEY.namespace)
    admission.forget(KEY)
    admission.ours = lambda _: False
    admission.sweep_again()
    await admission.sweep()
    assert server.objects


async def test_a_sweep_without_an_answer_is_made_up_for():
    await controller(server := Server()).ensure(ASKED, [ASKED], Facts())
    again = controller(server)
    server.error = errors.Unavailable(0, "gone")
    await again.sweep()
    server.error = None
    patching = tracing(spec={"selector": {}})
    await again.ensure(patching, [patching], Facts())
    assert not server.objects


@pytest.mark.parametrize("error", [errors.NotFound(404, "x"), errors.Forbidden(403, "x"), errors.Unavailable(0, "x")])
async def test_a_sweep_never_keeps_the_operator_from_its_work(error):
    await controller(Server(error)).sweep()
