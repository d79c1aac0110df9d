"""What earlier releases put into Deployments: this one restarts nobody for it, and takes it out again without a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grpctracing.api import GrpcTracing
from grpctracing.injection import Action, Seen, decide
from tests.unit.injection.recorded import SHAPES
from tests.unit.injection.server import merge

RELEASES = {path.stem: json.loads(path.read_text()) for path in Path(__file__).with_name("recorded").glob("*.json")}
CASES = [
    pytest.param(what["tracing"], live, what["before"][name], id=f"{release} {name}")
    for release, what in RELEASES.items()
    for live in what["deployments"]
    if (name := live["metadata"]["name"])
]


@pytest.mark.parametrize(("tracing", "live", "before"), CASES)
def test_an_upgrade_finds_nothing_to_write(tracing, live, before):
    verdict = decide(Seen(live, [model(tracing)]))
    assert (verdict.action, verdict.patch) == (Action.NOTHING, None)


@pytest.mark.parametrize(("tracing", "live", "before"), CASES)
def test_what_an_earlier_release_injected_is_taken_out_exactly(tracing, live, before):
    verdict = decide(Seen(live, [model(tracing)], reverting=True))
    assert verdict.action is Action.REVERT
    assert merge(live, {"spec": verdict.patch["spec"]})["spec"] == before


def test_every_shape_was_recorded_with_an_injection():
    for what in RELEASES.values():
        assert len(what["deployments"]) == len(SHAPES)
        assert all("GRPCTRACING_POD_NAME" in str(live["spec"]) for live in what["deployments"])


def model(tracing):
    return GrpcTracing.model_validate({name: value for name, value in tracing.items() if name != "status"})
