"""`spec.selector`: a Kubernetes label selector (`metav1.LabelSelector`, bounded)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grpctracing.api.base import Model, Schema, rule, rules

_KEY = Schema(
    minLength=1,
    maxLength=317,  # prefix 253, slash, name 63
    pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
)
_VALUE = Schema(maxLength=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")


class Requirement(Model):
    """One requirement on a label."""

    model_config = rules(
        rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
            "spec.selector.matchExpressions: In and NotIn need values, Exists and DoesNotExist take none",
            at=".values",
        ),
    )

    key: Annotated[str, _KEY] = Field(description="Name of the label.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(
        description="How the label relates to the values."
    )
    values: Annotated[
        tuple[Annotated[str, _VALUE], ...], Schema(maxItems=32, **{"x-kubernetes-list-type": "atomic"})
    ] = Field(default=(), description="Values for In and NotIn.")


class LabelSelector(Model):
    """Labels that a Deployment must have; all requirements must hold."""

    match_labels: Annotated[
        dict[str, Annotated[str, _VALUE]],
        Schema(
            rule(
                "self.all(k, k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'))",
                "spec.selector.matchLabels: a name is not a label name; write e.g. app.kubernetes.io/name",
            ),
            maxProperties=16,
        ),
    ] = Field(default_factory=dict, description="Labels and their values.")
    match_expressions: Annotated[
        tuple[Requirement, ...], Schema(maxItems=16, **{"x-kubernetes-list-type": "atomic"})
    ] = Field(default=(), description="Requirements on labels.")
