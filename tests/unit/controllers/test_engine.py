"""What goes before the backlog: what a user has changed, and nothing else."""

from __future__ import annotations

import copy

import pytest

from grpctracing.controllers.engine import is_change
from tests.unit.injection.builders import deployment


def changed(**metadata):
    live = deployment()
    live["metadata"] |= {"resourceVersion": "2"} | metadata
    return live


@pytest.mark.parametrize(
    "after",
    [
        changed(generation=2),
        changed(annotations={"grpctracing.dev/inject": "true"}),
        changed(labels={"team": "payments"}),
        changed(uid="made anew"),
        None,
    ],
    ids=["spec", "annotation", "label", "made anew", "deleted"],
)
def test_what_a_user_does_is_a_change(after):
    assert is_change(deployment(), after)


def test_a_new_workload_is_a_change():
    assert is_change(None, deployment())


def test_a_resync_and_news_of_pods_are_none():
    live = deployment()
    moved = copy.deepcopy(live)
    moved["metadata"] |= {"resourceVersion": "2", "managedFields": [{"manager": "kube-controller-manager"}]}
    moved["status"] = {"replicas": 7}
    assert not is_change(live, live)
    assert not is_change(live, moved)
