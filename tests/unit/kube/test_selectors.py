"""Label selectors as text: what they select, what they can't mean, and which two of them no labels satisfy both."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpctracing.kube.selectors import named, parse

KEYS, VALUES = ("a", "b", "c"), ("x", "y", "z")
OTHER = "none of those"
REQUIREMENTS = st.one_of(
    st.sampled_from(KEYS),
    st.sampled_from(KEYS).map("!{}".format),
    st.tuples(st.sampled_from(KEYS), st.sampled_from(("=", "==", "!=")), st.sampled_from(VALUES)).map("".join),
    st.builds(
        "{} {} ({})".format,
        st.sampled_from(KEYS),
        st.sampled_from(("in", "notin")),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=3).map(", ".join),
    ),
)
TEXTS = st.lists(REQUIREMENTS, min_size=1, max_size=4).map(",".join)


def all_labels():
    """Every choice of labels that selectors over `KEYS` and `VALUES` can tell apart."""
    for chosen in itertools.product((None, OTHER, *VALUES), repeat=len(KEYS)):
        yield {key: value for key, value in zip(KEYS, chosen, strict=True) if value is not None}


def parsed(text):
    try:
        return parse(text)
    except ValueError:
        return None


@given(TEXTS, TEXTS)
def test_two_are_disjoint_exactly_where_no_labels_satisfy_both(one, other):
    first, second = parsed(one), parsed(other)
    if first is not None and second is not None:
        both = [labels for labels in all_labels() if first.matches(labels) and second.matches(labels)]
        assert first.disjoint(second) == (not both)
        assert second.disjoint(first) == first.disjoint(second)


@given(st.lists(REQUIREMENTS, min_size=1, max_size=4))
def test_what_contradicts_itself_is_refused_and_nothing_else(requirements):
    each = [parse(requirement) for requirement in requirements]
    satisfied = any(all(part.matches(labels) for part in each) for labels in all_labels())
    assert (parsed(",".join(requirements)) is not None) == satisfied


@pytest.mark.parametrize(
    ("text", "selected", "not_selected"),
    [
        ("team=a", [{"team": "a"}, {"team": "a", "x": "y"}], [{}, {"team": "b"}]),
        (" team == a ", [{"team": "a"}], [{"team": "b"}]),
        ("team!=a", [{}, {"team": "b"}], [{"team": "a"}]),
        ("team in (a,b)", [{"team": "a"}, {"team": "b"}], [{}, {"team": "c"}]),
        ("team notin ( a , b )", [{}, {"team": "c"}], [{"team": "a"}]),
        ("team", [{"team": ""}, {"team": "a"}], [{}]),
        ("!team", [{}], [{"team": "a"}]),
        ("team=", [{"team": ""}], [{}, {"team": "a"}]),
        ("example.com/team=a,!legacy", [{"example.com/team": "a"}], [{"example.com/team": "a", "legacy": ""}]),
    ],
)
def test_it_selects_as_the_api_does(text, selected, not_selected):
    selector = parse(text)
    assert all(selector.matches(labels) for labels in selected)
    assert not any(selector.matches(labels) for labels in not_selected)
    assert not parse("team").matches(None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (",", "write e.g."),
        ("team=a,", 'from "team=a,"'),
        ("team = a b", "is not a label selector"),
        ("team in a", "is not a label selector"),
        ("team in ()", "lists no label values"),
        ("team in (a,,b)", "lists no label values"),
        ("team > 1", "is not a label selector"),
        ("-team", "is not a label selector"),
        ("team=" + "a" * 64, "is not a label selector"),
        ("team, !team", "contradicts itself"),
        ("team=a,team in (b, c)", "label team contradicts itself"),
        (" ", "selects nothing in particular"),
    ],
)
def test_a_refusal_says_where_and_what_would_do(text, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(").replace(".", r"\.")):
        parse(text)


def test_names_are_a_selector_too():
    assert named("name", ["a", "b"]).disjoint(parse("name notin (a, b, c)"))
    assert not named("name", ["a", "b"]).disjoint(parse("name notin (a)"))
    assert parse(named("name", ["b", "a"]).text) == named("name", ["a", "b"])
