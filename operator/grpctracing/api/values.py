"""Small value types that several parts of the API use: durations, names, references to Secrets."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from grpctracing.api.base import Model, Schema, rule

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"

_DNS_NAME: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"


def seconds(text: str) -> float:
    """Return the seconds of a duration such as `1s`, `500ms`, `1m30s`. Raises ValueError for anything else."""
    if not re.fullmatch(_DURATION_PATTERN, text):
        raise ValueError(f'"{text}" is not a duration; write e.g. "500ms", "1s" or "5m"')
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def duration(least: str, most: str) -> Schema:
    """Return the schema of a duration field that lies between *least* and *most*."""
    words = f'write a number and a unit (ms, s, m, h), from "{least}" to "{most}"'
    return Schema(
        rule(
            f"!self.matches('{_DURATION_PATTERN}') || "
            f"(duration(self) >= duration('{least}') && duration(self) <= duration('{most}'))".replace("\\", "\\\\"),
            f"the duration is out of bounds: {words}",
            says=f"'\"' + self + '\" is out of bounds: {words}'",
        ),
        pattern=_DURATION_PATTERN,
        maxLength=16,
    )


class SecretKeyRef(Model):
    """One key of a Secret in the namespace of the GrpcTracing. The kubelet reads it; the operator never does."""

    name: Annotated[str, Schema(minLength=1, maxLength=253, pattern=_DNS_NAME)] = Field(
        description="Name of the Secret."
    )
    key: Annotated[str, Schema(minLength=1, maxLength=253, pattern=r"^[-._a-zA-Z0-9]+$")] = Field(
        description="Key of the Secret's data."
    )
