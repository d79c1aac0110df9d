"""Tools that change Deployments, and the operator beside them: no fight, no lost value, nobody wedged, and an exact way back."""

from __future__ import annotations

import asyncio

import pytest

from grpctracing.controllers import admission
from tests.api.gitops import document
from tests.api.gitops.contended import WAYS_OUT
from tests.api.gitops.play import WITHOUT_A_DIFFERENCE, differences, play
from tests.api.gitops.scenario import STEPS
from tests.api.gitops.table import PERSONAS, Cell
from tests.api.gitops.tools import OK

pytestmark = [pytest.mark.api, pytest.mark.timeout(900)]
NAMES = [persona.name for persona in PERSONAS]
CELLS = [(persona, step.name) for persona in PERSONAS for step in STEPS if persona.cell(step.name)]


@pytest.fixture(scope="module")
def all_told(control_plane, crd):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "SPREADING", 1.0)  # there is one API server
        return asyncio.run(play(control_plane, crd, WAYS_OUT))


@pytest.fixture
def told(all_told):
    def of(name, stage="Stage"):
        if isinstance(all_told[stage, name], BaseException):
            raise all_told[stage, name]
        return all_told[stage, name]

    return of


@pytest.mark.parametrize(("persona", "step"), CELLS, ids=lambda value: getattr(value, "name", value))
def test_a_step_ends_as_the_table_says(told, persona, step):
    found = told(persona.name)
    assert (found.cells[step], found.wrong[step]) == (persona.cell(step), [])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_after_opting_out_is_as_without_us(told, name):
    live, twin = told(name).live, told(name).twin
    assert live["spec"] == twin["spec"]
    # The server may leave us the name of a variable whose value became the user's; no value is ours any more.
    books = [record["fieldsV1"] for record in live["metadata"]["managedFields"] if record["manager"] == "grpctracing"]
    assert not [word for word in ("f:value", "f:volume", "mountPath") if word in str(books)]


@pytest.mark.parametrize("name", WITHOUT_A_DIFFERENCE)
def test_under_strategy_admission_no_tool_sees_a_difference(told, name):
    found = told(name, "Admitted")
    assert set(found.cells.values()) == {Cell(OK, 0)}, "neither a conflict nor a refusal, and no patch"
    assert {step: wrong for step, wrong in found.wrong.items() if wrong} == {}
    assert "grpctracing" not in {record["manager"] for record in found.live["metadata"]["managedFields"]}


@pytest.mark.parametrize("way_out", [kind.__name__ for kind in WAYS_OUT])
def test_a_tool_that_puts_pythonpath_back_is_given_way_to(told, way_out):
    found = told("Flux", way_out)
    patches = [cell.patches for name, cell in found.cells.items() if name.startswith("before")]
    assert (sum(patches), patches[-2:]) == (5, [0, 0]), "one injection, and four times the variable alone"
    assert found.contested


@pytest.mark.parametrize(
    ("way_out", "reason", "path"),
    [
        ("VariablesOnly", "Unverified", "/app/lib"),
        ("OptedOut", "OptedOut", "/app/lib"),
        ("InTheImage", "Unverified", "/grpctracing/:/app/lib"),
        ("ByPolicy", "ThroughAdmission", "/grpctracing:/app/lib"),
    ],
)
def test_a_way_out_of_that_costs_one_patch_and_ends_the_fight(told, way_out, reason, path):
    found = told("Flux", way_out)
    assert [cell.patches for name, cell in found.cells.items() if name.startswith("after")] == [1, 0, 0]
    assert found.reason == reason
    assert found.pod.get("PYTHONPATH") == path
    assert ("OTEL_SERVICE_NAME" in found.pod) is (way_out != "OptedOut")
    assert differences(found.live, found.twin) == []
    if way_out in {"OptedOut", "ByPolicy"}:
        assert found.live["spec"] == found.twin["spec"]


def test_the_document_is_what_the_table_says():
    assert document.FILE.read_text("utf-8") == document.text(), "run `python -m tests.api.gitops`"
