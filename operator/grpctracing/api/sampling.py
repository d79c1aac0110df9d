"""`spec.sampler` and `spec.keep`: which calls are recorded, and which are exported whatever the sampler said."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from grpctracing.api.base import Model, Schema, rule, rules

# The samplers of OTEL_TRACES_SAMPLER (OpenTelemetry specification, SDK environment variables) less the remote ones:
# no Python SDK implements those, although other operators accept them.
SamplerType = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
RATIO_SAMPLERS: Final = frozenset({"traceidratio", "parentbased_traceidratio"})
NEVER: Final = "Never"

_NUMBER = r"^([0-9]*[.])?[0-9]+([eE]-?[0-9]{1,3})?$"
_WANTS_RATIO = "self.type in ['traceidratio', 'parentbased_traceidratio']"


def unit_interval(what: str) -> Schema:
    """Return the schema of a text field that holds a ratio between 0 and 1. *what* names it in the message."""
    words = 'is not a ratio between 0 and 1; write e.g. "0.1"'
    return Schema(
        rule(
            f"self.matches('{_NUMBER}') && double(self) <= 1.0",
            f"{what} {words}",
            says=f"'{what}: \"' + self + '\" {words}'",
        ),
        maxLength=24,
    )


class SamplingRule(Model):
    """Another ratio for some methods, or none of their calls at all."""

    model_config = rules(
        rule(
            "has(self.ratio) != (has(self.drop) && self.drop)",
            'spec.sampler.rules[]: give exactly one of ratio and drop; write ratio: "0.1" or drop: true',
        ),
        rule(
            "has(self.service) || has(self.method)",
            'spec.sampler.rules[]: say for which service or method; write service: "*" for all',
        ),
    )

    service: Annotated[str | None, Schema(minLength=1, maxLength=256, pattern=r"^([A-Za-z_][0-9A-Za-z_.]*)?[*]?$")] = (
        Field(
            default=None,
            description="Service (package.Service), or the beginning of its name with * behind it. Absent or *: any.",
        )
    )
    method: Annotated[str | None, Schema(minLength=1, maxLength=128, pattern=r"^([A-Za-z_][0-9A-Za-z_]*)?[*]?$")] = (
        Field(default=None, description="Method, or the beginning of its name with * behind it. Absent or *: any.")
    )
    ratio: Annotated[str | None, unit_interval("spec.sampler.rules[].ratio")] = Field(
        default=None,
        description="Ratio of new traces to keep where they begin with this method, from 0 to 1, as text. Stands in for the sampler's; "
        "with a parentbased_* sampler the caller's decision goes first. What keep says still holds.",
    )
    drop: bool | None = Field(
        default=None,
        description="true: no spans of these calls, not even by keep. They stay in the metrics, and the context of "
        "the caller is handed on.",
    )


class Sampler(Model):
    """Head sampler: decided once, at the root of a trace, and followed by every service after it."""

    model_config = rules(
        rule(
            f"!({_WANTS_RATIO}) || has(self.argument)",
            'spec.sampler.argument: required by this sampler; write the ratio of traces to keep, e.g. "0.1"',
            at=".argument",
        ),
        rule(
            f"{_WANTS_RATIO} || !has(self.argument)",
            "spec.sampler.argument: only traceidratio and parentbased_traceidratio take an argument; remove it",
            at=".argument",
        ),
    )

    type: SamplerType = Field(
        default="parentbased_always_on",
        description="Name of the sampler, as in OTEL_TRACES_SAMPLER. parentbased_* follow the decision of the caller.",
    )
    argument: Annotated[str | None, unit_interval("spec.sampler.argument")] = Field(
        default=None,
        description="Ratio of new traces to keep, from 0 to 1, as text. Only for the *traceidratio samplers.",
    )
    rules: Annotated[tuple[SamplingRule, ...], Schema(maxItems=64, **{"x-kubernetes-list-type": "atomic"})] = Field(
        default=(),
        description="Exceptions for single methods; the first rule that matches counts. Read by the bootstrap while it runs, "
        "so a change needs no restart.",
    )


class Keep(Model):
    """Calls that are exported although the sampler dropped their trace, so that no failed or slow call is lost."""

    errors: bool = Field(default=True, description="Export every call that ends in an error.")
    slower_than: Annotated[
        str | None,
        BeforeValidator(lambda value: None if value == NEVER else value),
        Schema(
            rule(
                "self == 'Never' || (duration(self) >= duration('1ms') && duration(self) <= duration('1h'))",
                'spec.keep.slowerThan is out of bounds; write "1ms" to "1h", or Never',
                says='\'spec.keep.slowerThan: "\' + self + \'" is out of bounds; write "1ms" to "1h", or Never\'',
            ),
            pattern=r"^(Never|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$",
            maxLength=16,
        ),
    ] = Field(
        default="1s",
        description="Export every call that runs at least this long. Never: none.",
    )
