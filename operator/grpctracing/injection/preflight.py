"""What the preflight means for a decision: whom to look into, what to wait for, and what to say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection import names
from grpctracing.injection.containers import choose, wants_bootstrap
from grpctracing.injection.findings import Failure
from grpctracing.injection.verdict import Action, Reason, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grpctracing.api import GrpcTracing
    from grpctracing.injection.fitness import Probed
    from grpctracing.injection.plan import Plan

PULL_SECONDS: Final = 60.0


def unprobed(
    deployment: Mapping[str, Any], tracing: GrpcTracing, probed: Probed | None, *, by_policy: bool = False
) -> tuple[str, ...]:
    """Return the containers whose images nobody has looked into yet; those that get no bootstrap need no look.

    *by_policy* as in `plan`. Raises Refusal, as `plan` does.
    """
    if probed is None or not wants_bootstrap(deployment, tracing):
        return ()
    return tuple(name for name in choose(deployment, blind=by_policy) if probed.get(name) is None)


def hold(probed: Probed | None, probe: tuple[str, ...]) -> Verdict | None:
    """Return the verdict that puts a patch off, or None. What is in place stays meanwhile, whatever the new image is."""
    if probe:
        message = f"Waits for a preflight pod that looks into the image of {', '.join(probe)}."
        return Verdict(Action.WAIT, State.PENDING, Reason.PROBING, message)
    if again := pull_again(probed):
        message = "No new pod could start, so nothing is restarted until the image can be pulled."
        return Verdict(Action.NOTHING, State.SKIPPED, Reason.PREFLIGHT_FAILED, message, requeue=again)
    return None


def pull_again(probed: Probed | None) -> float | None:
    """Return in how many seconds a workload is looked at again of whose images one can't be pulled; None where all can."""
    failures = (finding for finding in (probed or {}).values() if isinstance(finding, Failure))
    return PULL_SECONDS if any(failure.unpullable for failure in failures) else None


def notes(probed: Probed | None, wanted: Plan) -> str:
    """Return what the preflight adds to any message: what is left out, and what could not be found out."""
    failures = dict.fromkeys(
        unknown(finding.why) for finding in (probed or {}).values() if isinstance(finding, Failure)
    )
    return " ".join((*wanted.left_out, *failures))


def unknown(why: str) -> str:
    """Return what *why* nothing is known of an image means for its user."""
    return (
        f"The image could not be probed ({why}). If it sets PYTHONPATH itself (ENV), repeat that in the pod template."
    )


def refined(verdict: Verdict, wanted: Plan) -> Verdict:
    """Return the *verdict* on what is injected, said more exactly where no Python is there that could send spans."""
    if (
        verdict.reason not in {Reason.NO_SPANS, Reason.NO_SPANS_YET, Reason.UNVERIFIED}
        or not wanted.without_python
        or wanted.volume
    ):
        return verdict
    message = (
        "No Python in the image: it got the OTEL_* variables, for an OpenTelemetry SDK in its code. If Python does run "
        f"there, annotate the workload {names.BOOTSTRAP}=true."
    )
    return replace(verdict, reason=Reason.NOT_PYTHON, message=message)
