"""JSON schema of pydantic → structural schema of a CustomResourceDefinition.

The API server takes a dialect: no references, no alternatives with null, no titles, everything typed. What pydantic writes
in another way is rewritten here; what has no counterpart is refused, so that nothing is lost without being noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_DROPPED: Final = frozenset({"title", "$defs", "discriminator"})
_KNOWN: Final = frozenset({
    "default", "description", "enum", "format", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
    "minLength", "minimum", "pattern", "properties", "required", "type", "additionalProperties",
})  # fmt: skip


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """Return the structural schema of *model*. Raises ValueError for what the API server could not take."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(schema, schema.get("$defs", {}), model.__name__)


def _convert(schema: Mapping[str, Any], definitions: Mapping[str, Any], at: str) -> dict[str, Any]:
    flat = _without_null(_inlined(schema, definitions), definitions)
    out: dict[str, Any] = {}
    for key, value in flat.items():
        if key in _DROPPED:
            continue
        if key == "properties":
            out[key] = {name: _convert(child, definitions, f"{at}.{name}") for name, child in value.items()}
        elif key in {"items", "additionalProperties"} and isinstance(value, dict):
            keys = frozenset(flat.get("x-kubernetes-list-map-keys", ()))
            out[key] = _without_defaults(_convert(value, definitions, f"{at}[]"), keys)
        elif key == "const":
            out["enum"] = [value]
        elif key == "additionalProperties" and not value:
            continue  # `extra="ignore"`; the API server prunes what it does not know
        elif key == "default" and value in (None, []):
            continue  # says no more than absence
        elif key in _KNOWN or key.startswith("x-kubernetes-"):
            out[key] = value
        else:
            raise ValueError(f"{at}: {key} has no counterpart in a structural schema")
    if "type" not in out and INT_OR_STRING not in out:
        raise ValueError(f"{at}: every node needs a type")
    return out


def _inlined(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Replace a reference by what it names; keywords beside it win, rules of both hold."""
    if "$ref" not in schema:
        return dict(schema)
    target = _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return _merged(target, {key: value for key, value in schema.items() if key != "$ref"})


def _without_null(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Turn `X or null` into an optional X, and `integer or string` into the API server's own type for it."""
    options = [option for option in schema.pop("anyOf", []) if option.get("type") != "null"]
    if not options:
        return schema
    if {option.get("type") for option in options} == {"integer", "string"}:
        return {**schema, INT_OR_STRING: True}
    if len(options) > 1:
        raise ValueError(f"alternatives have no counterpart in a structural schema: {options}")
    return _merged(_inlined(options[0], definitions), schema)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    rules = [*base.get("x-kubernetes-validations", ()), *over.get("x-kubernetes-validations", ())]
    return {**base, **over, **({"x-kubernetes-validations": rules} if rules else {})}


def _without_defaults(schema: dict[str, Any], but: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Drop defaults inside list items: a GitOps tool compares lists as a whole and would report a difference forever.

    *but* are the keys of the list: the API server wants each to be required or to have a default.
    """
    children = {
        name: child if name in but else _without_defaults(child) for name, child in schema.get("properties", {}).items()
    }
    bare = {key: value for key, value in schema.items() if key != "default"}
    return {**bare, **({"properties": children} if children else {})}
