"""What an image is fit for, by what the preflight found in it: everything, the variables alone, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grpctracing.injection import names
from grpctracing.injection.findings import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.injection.findings import Finding

    Probed = Mapping[str, Finding | None]
    """Container → what was found in its image; None: not probed yet. The whole is None where nobody probes."""

TRACES_BY_ITSELF: Final = ("ddtrace", "newrelic")
"""Agents that trace gRPC by themselves; ddtrace would even take sampler and service name from our OTEL_ variables."""
WAY_OUT: Final = f"If that is not what runs, annotate the workload {names.BOOTSTRAP}=true."


@dataclass(frozen=True, slots=True)
class Fit:
    """*bootstrap*: it is mounted; *variables*: OTEL_* are set. With neither, *reason* and *message* say why."""

    bootstrap: bool = True
    variables: bool = True
    reason: str = ""
    message: str = ""


WHOLE: Final = Fit()
VARIABLES_ONLY: Final = Fit(bootstrap=False)


def fit(container: Mapping[str, object], finding: Finding | None, *, insisted: bool) -> Fit:
    """Return what *container* gets. What is unknown gets everything: the bootstrap stands aside where it has no place.

    *insisted*: the user asks for the bootstrap by annotation, and knows the image better than a probe.
    """
    if insisted or not isinstance(finding, Report):
        return WHOLE
    where = f'The image of container "{container["name"]}"'
    if finding.python is None:
        return VARIABLES_ONLY
    if finding.old:
        found = ".".join(map(str, finding.python))
        return left_out("PythonTooOld", f"{where} has Python {found}; tracing needs 3.8. {WAY_OUT}")
    for agent, version in finding.agents:
        if agent in TRACES_BY_ITSELF:
            message = f"{where} has {agent} {version}, which traces gRPC by itself where it is switched on. {WAY_OUT}"
            return left_out("AlreadyInstrumented", message)
    if finding.grpcio is None and finding.elsewhere is None:
        return left_out("NoGrpcio", f"{where} has no grpcio, so there is no call to trace. {WAY_OUT}")
    return WHOLE


def left_out(reason: str, message: str) -> Fit:
    """Return the answer for a container that nobody restarts for nothing."""
    return Fit(bootstrap=False, variables=False, reason=reason, message=message)
