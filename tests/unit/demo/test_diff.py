import copy

from examples.demo import diff
from examples.demo.scenario import manifests

BEFORE = manifests("payment")[0]


def with_env(*entries):
    after = copy.deepcopy(BEFORE)
    after["spec"]["template"]["spec"]["containers"][0]["env"] = list(entries)
    return after


def test_nothing_changed_says_so():
    assert diff.render(BEFORE, copy.deepcopy(BEFORE)) == "no difference"


def test_status_and_annotations_of_the_deployment_are_no_change_of_the_template():
    after = copy.deepcopy(BEFORE)
    after["status"] = {"replicas": 3}
    after["metadata"]["annotations"] = {"grpctracing.dev/inject": "true"}
    assert diff.render(BEFORE, after) == "no difference"


def test_an_env_entry_is_one_added_line():
    added = [
        line for line in diff.render(BEFORE, with_env({"name": "A", "value": "1"})).splitlines() if line[0] in "+-"
    ]
    assert [line[1:].strip() for line in added] == ["env:", "- {name: A, value: '1'}"]


def test_added_lines_are_green_and_removed_ones_red():
    there, back = (
        diff.render(BEFORE, with_env({"name": "A"}), colour=True),
        diff.render(with_env({"name": "A"}), BEFORE, colour=True),
    )
    assert "\033[32m+" in there
    assert "\033[31m-" in back
