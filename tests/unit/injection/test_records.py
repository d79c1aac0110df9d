"""What of the preflight's ConfigMap counts as known of a workload's images."""

from __future__ import annotations

import json

import pytest

from grpctracing.injection.findings import Report
from grpctracing.injection.probing import digest
from grpctracing.injection.records import SETS_PATH, record, recorded
from tests.unit.injection.builders import container, deployment

PLAIN, WITH_PATH = Report((3, 12), "1.60"), Report((3, 12), "1.60", pythonpath="/srv")


def found(entry, **options):
    """What is known of the only container of a workload by its *entry*."""
    (app,) = deployment()["spec"]["template"]["spec"]["containers"]
    return recorded({"data": {digest(app): entry}}, deployment(), **options)["app"]


def unnoted(report):
    """An entry from before it was noted whose path it is."""
    entry = json.loads(record(report, "shop/app:1", "2026-11-29T00:00:00Z"))
    del entry[SETS_PATH]
    return json.dumps(entry)


@pytest.mark.parametrize("report", [PLAIN, WITH_PATH])
@pytest.mark.parametrize("sets_path", [True, False])
def test_what_was_recorded_is_known(report, sets_path):
    assert found(record(report, "shop/app:1", "2026-11-29T00:00:00Z", sets_path=sets_path)) == report


def test_a_path_of_which_it_is_not_said_whose_it_is_has_to_be_looked_for_again_by_a_policy():
    """For a patch it is right: the entry is of this container, whose own path it was looked into with."""
    assert found(unnoted(WITH_PATH)) == WITH_PATH
    assert found(unnoted(WITH_PATH), by_policy=True) is None
    assert found(unnoted(PLAIN), by_policy=True) == PLAIN, "there is none, so it is no question"


@pytest.mark.parametrize("entry", ["", "{", "[]", "{}"])
def test_an_entry_that_cannot_be_read_is_none(entry):
    assert found(entry) is None


def test_of_another_image_nothing_is_known():
    entries = {digest(container(image="shop/app:2")): record(PLAIN, "shop/app:2", "2026-11-29T00:00:00Z")}
    assert recorded({"data": entries}, deployment()) == {"app": None} == recorded(None, deployment())
