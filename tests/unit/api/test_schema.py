from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from grpctracing.api.base import VALIDATIONS, Model, Schema, rule, rules
from grpctracing.api.schema import structural

A = rule("self.a", "a")
B = rule("self.b", "b")


class Part(Model):
    """A part."""

    model_config = rules(A)
    size_of: int = 1


class Whole(Model):
    """A whole."""

    plain: str
    part: Annotated[Part, Schema(B)] = Field(default_factory=Part, description="In this place.")
    maybe: Part | None = None
    number_or_text: int | str = 0
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = Field(default_factory=dict)
    fixed: Literal["one"] = "one"
    filled: tuple[str, ...] = ("a",)


@pytest.fixture(scope="module")
def properties() -> dict[str, Any]:
    return structural(Whole)["properties"]


def test_names_are_camel_case_and_required_ones_are_listed():
    assert structural(Whole)["required"] == ["plain"]
    assert "numberOrText" in structural(Whole)["properties"]


def test_reference_is_written_out_and_the_words_of_the_place_win(properties):
    assert properties["part"]["description"] == "In this place."
    assert properties["part"]["properties"]["sizeOf"] == {"type": "integer", "default": 1}


def test_rules_of_type_and_place_both_hold(properties):
    assert properties["part"][VALIDATIONS] == [A, B]


def test_optional_is_absent_rather_than_null(properties):
    assert properties["maybe"]["type"] == "object"
    assert "default" not in properties["maybe"]


def test_integer_or_text_is_the_api_servers_own_type(properties):
    assert properties["numberOrText"]["x-kubernetes-int-or-string"] is True
    assert "type" not in properties["numberOrText"]


def test_constant_is_an_enumeration_of_one(properties):
    assert properties["fixed"] == {"default": "one", "enum": ["one"], "type": "string"}


def test_empty_default_is_left_out_and_a_filled_one_stays(properties):
    assert "default" not in properties["parts"]
    assert properties["filled"]["default"] == ["a"]


@pytest.mark.parametrize(("field", "items"), [("parts", "items"), ("byName", "additionalProperties")])
def test_entries_of_lists_and_maps_have_no_defaults(properties, field, items):
    assert properties[field][items]["properties"]["sizeOf"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        pytest.param(Part | int, "alternatives", id="alternatives"),
        pytest.param(Any, "needs a type", id="anything"),
        pytest.param(Annotated[int, Schema(exclusiveMinimum=0)], "exclusiveMinimum", id="unknown keyword"),
    ],
)
def test_what_has_no_counterpart_is_refused_rather_than_lost(annotation, words):
    model = type("Odd", (Model,), {"__annotations__": {"field": annotation}})
    with pytest.raises(ValueError, match=words):
        structural(model)
