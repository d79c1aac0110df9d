"""Python values as CEL source: quoted so that no text of a user's is ever read as an expression."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Symbols = Mapping[str, str]
    """Text that stands for something known only later → the expression that it stands for."""


def string(text: str, symbols: Symbols | None = None) -> str:
    """Return *text* as a string expression; where it contains one of *symbols*, its expression is joined in.

    JSON's escapes are a part of CEL's (CEL specification, "String and Bytes Values").
    """
    known = symbols or {}
    parts = re.split("(" + "|".join(map(re.escape, known)) + ")", text) if known else [text]
    terms = [known[part] if part in known else json.dumps(part, ensure_ascii=False) for part in parts if part]
    return " + ".join(terms) or '""'


def strings(texts: Iterable[str]) -> str:
    """Return a list expression; sorted, so that the same set always reads the same."""
    return "[" + ", ".join(string(text) for text in sorted(texts)) + "]"


def value(item: Any, path: str, symbols: Symbols | None = None) -> str:
    """Return a JSON value as the object at *path* (`Object.spec.volumes`) of the kind that is being admitted.

    CEL wants all values of a map to be of one type, so objects are written with their types' names.
    """
    if isinstance(item, dict):
        fields = ", ".join(f"{name}: {value(field, f'{path}.{name}', symbols)}" for name, field in item.items())
        return f"{path}{{{fields}}}"
    if isinstance(item, bool):
        return str(item).lower()
    return string(item, symbols)


def every(terms: Iterable[str]) -> str:
    """Return the conjunction of *terms*, true where there is none."""
    return " && ".join(terms) or "true"
