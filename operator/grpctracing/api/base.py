"""What all models of the API share: camelCase on the wire, tolerance when reading, bounds for the API server.

The API server is the one gate: bounds, patterns and CEL rules are enforced there, when an object is written. A model
only has to *load* what is stored, also what an older or newer release stored, so it ignores unknown fields and does not
enforce bounds again: an operator that cannot read an object could not revert it either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"


class Model(BaseModel):
    """An object of the API: immutable, snake_case in Python, camelCase in YAML."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        serialize_by_alias=True,
    )


def rule(expression: str, message: str = "", *, says: str = "", at: str = "") -> dict[str, Any]:
    """Return one CEL rule of the CRD.

    *expression* is true for a valid value. *message* tells the user what is wrong and what to write; *says* is the same as
    a CEL expression, for messages that quote the value (*message* is then the fallback). *at* moves the error to a
    field below, e.g. `.argument`.
    """
    entry: dict[str, Any] = {"rule": expression, "message": message}
    if says:
        entry["messageExpression"] = says
    if at:
        entry["fieldPath"] = at
    return entry


def rules(*entries: dict[str, Any]) -> ConfigDict:
    """Return the `model_config` of a class with CEL rules on the whole object."""
    return ConfigDict(json_schema_extra={VALIDATIONS: list(entries)})


class Schema:
    """Annotation that adds keywords and CEL rules to the schema of a field, and nothing to its Python type."""

    def __init__(self, *entries: dict[str, Any], **keywords: Any) -> None:
        self._keywords = keywords | ({VALIDATIONS: list(entries)} if entries else {})

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the keywords; pydantic calls this when the CRD is generated."""
        schema = handler(core)
        own = list(schema.get(VALIDATIONS, []))
        merged = {**schema, **self._keywords}
        if own and VALIDATIONS in self._keywords:
            merged[VALIDATIONS] = own + self._keywords[VALIDATIONS]
        return merged
