"""Text of a user's stays text, whatever it looks like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpctracing.injection import cel

SYMBOLS = {"~name~": "variables.name"}


@given(st.text())
def test_a_text_is_one_literal(text):
    assert json.loads(cel.string(text)) == text


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("", '""'),
        ("~name~", "variables.name"),
        ("a~name~", '"a" + variables.name'),
        ("~name~b~name~", 'variables.name + "b" + variables.name'),
        ('" + variables.name + "', r'"\" + variables.name + \""'),
    ],
)
def test_what_only_the_pod_knows_is_joined_in(text, expression):
    assert cel.string(text, SYMBOLS) == expression


def test_objects_carry_the_names_of_their_types():
    item = {"name": "~name~", "valueFrom": {"secretKeyRef": {"key": "k", "optional": True}}}
    assert cel.value(item, "Object.env", SYMBOLS) == (
        "Object.env{name: variables.name, valueFrom: Object.env.valueFrom{"
        'secretKeyRef: Object.env.valueFrom.secretKeyRef{key: "k", optional: true}}}'
    )


def test_nothing_asked_for_is_true():
    assert cel.every([]) == "true"
