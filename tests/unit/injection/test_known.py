"""What a policy is told of images: by their names, by their repositories, and no more than an expression holds."""

from __future__ import annotations

import json

import pytest

from grpctracing.injection import known as module
from grpctracing.injection.findings import Report
from grpctracing.injection.known import BOOTSTRAP, NOTHING, VARIABLES, Known, gets, known, literal, repository
from grpctracing.injection.records import SETS_PATH, record

PYTHON = {"python": (3, 12), "grpcio": "1.60"}
PLAIN, PATH, OLD_PATH = Known(BOOTSTRAP), Known(BOOTSTRAP, "/srv"), Known(BOOTSTRAP, "/old")
HIDDEN = Known(BOOTSTRAP, None)


def entry(image, path="", *, sets_path=False, at=0, **report):
    """An entry of the ConfigMap; the greater *at*, the newer."""
    found = Report(**(PYTHON | report), pythonpath=path)
    return record(found, image, f"2026-11-29T00:00:{at:02}Z", sets_path=sets_path)


def of(*entries):
    """What is known by *entries*, the oldest first."""
    return known({"data": {f"key-{number}": each for number, each in enumerate(entries)}})


def aged(*entries):
    """What is known by the arguments of `entry`, the oldest first."""
    return of(*(entry(*each[:-1], **each[-1], at=number) for number, each in enumerate(entries)))


@pytest.mark.parametrize(
    ("entries", "want"),
    [
        pytest.param([("app:1", {})], {"app:*": PLAIN}, id="its repository says it"),
        pytest.param(
            [("app:1", "/old", {}), ("app:2", "/srv", {})],
            {"app:*": PATH, "app:1": OLD_PATH},
            id="a tag of before differs from the newest",
        ),
        pytest.param(
            [("app:1", "/old", {}), ("app:1", "/srv", {})],
            {"app:*": PATH},
            id="of an image that was looked into twice, the newest counts",
        ),
        pytest.param(
            [("app:1", "/old", {}), ("app:1", "/srv", {}), ("app:2", {})],
            {"app:*": PLAIN, "app:1": PATH},
            id="also where another tag is newer still",
        ),
        pytest.param(
            [("app:1", "/srv", {}), ("app:1", "/container", {"sets_path": True})],
            {"app:*": PATH},
            id="a path that is known counts for more than a newer entry that could not see it",
        ),
        pytest.param(
            [("app:1", "/srv", {}), ("app:2", "/container", {"sets_path": True})],
            {"app:*": PATH, "app:2": HIDDEN},
            id="of a tag alone its path may be unknown",
        ),
        pytest.param([("app:1", "/container", {"sets_path": True})], {"app:*": HIDDEN}, id="nobody could see its path"),
    ],
)
def test_the_newest_counts_of_an_image_and_of_its_repository(entries, want):
    assert aged(*entries) == want


def test_the_newest_come_first_and_those_whose_path_is_unknown_last():
    found = aged(("a:1", {}), ("b:1", "/x", {}), ("c:1", {"sets_path": True}), ("b:2", {}), ("d:1", {}))
    assert list(found) == ["d:*", "b:*", "b:1", "a:*", "c:*"]


def without(key, text):
    return json.dumps({name: value for name, value in json.loads(text).items() if name != key})


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param(without(SETS_PATH, entry("app:1", "/whose")), {"app:*": HIDDEN}, id="it is not said whose path it is"),
        pytest.param(without(SETS_PATH, entry("app:1")), {"app:*": PLAIN}, id="there is no path"),
        pytest.param(without("image", entry("app:1")), {}, id="no image"),
        pytest.param(entry(""), {}, id="an image without a name"),
        pytest.param("{", {}, id="no JSON"),
        pytest.param("[]", {}, id="no entry"),
    ],
)  # fmt: skip
def test_an_entry_says_no_more_than_what_stands_in_it(text, want):
    assert of(text) == want


def test_without_entries_nothing_is_known():
    assert known(None) == known({}) == known({"data": None}) == {}


@pytest.mark.parametrize(
    ("report", "want"),
    [
        (Report(**PYTHON), BOOTSTRAP),
        (Report((3, 12), elsewhere="/opt/venv"), BOOTSTRAP),
        (Report(), VARIABLES),
        (Report((2, 7), "1.39"), NOTHING),
        (Report((3, 12)), NOTHING),
        (Report(**PYTHON, agents=(("ddtrace", "4.1"),)), NOTHING),
    ],
)
def test_pods_get_what_a_patch_would_give_them(report, want):
    assert gets(report) == want


@pytest.mark.parametrize(
    ("image", "want"),
    [
        ("app", "app"),
        ("app:1", "app"),
        ("shop/app@sha256:ab", "shop/app"),
        ("shop/app:1@sha256:ab", "shop/app"),
        ("registry:5000/shop/app", "registry:5000/shop/app"),
        ("registry:5000/shop/app:1", "registry:5000/shop/app"),
    ],
)
def test_a_repository_is_the_name_without_tag_and_digest(image, want):
    assert repository(image) == want


def test_a_map_as_an_expression():
    images = {"app:*": Known(BOOTSTRAP, "/srv/$(lib)", frozenset({"OTEL_A"})), "a:1": Known(VARIABLES, None)}
    assert literal(images) == (
        '{"a:1": {"gets": ["variables"], "path": [], "sets": []}, '
        '"app:*": {"gets": ["bootstrap"], "path": ["/srv/$$(lib)"], "sets": ["OTEL_A"]}}'
    )
    assert literal({}) == "{}"


def test_what_does_not_fit_is_left_out_and_the_newest_are_kept(monkeypatch):
    images = {f"{name}:*": PLAIN for name in "zyx"}
    monkeypatch.setattr(module, "MOST", len(literal({"z:*": PLAIN, "y:*": PLAIN})) + len(", "))
    assert literal(images) == literal({"z:*": PLAIN, "y:*": PLAIN})
