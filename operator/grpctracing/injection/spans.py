"""What is said of spans: that they have been seen, that nobody can have seen them, or that none came and what to check.

`Instrumented` is never said of what was not seen, and that none came is said only by one who has listened for long enough.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from grpctracing.api import seconds
from grpctracing.api.sampling import RATIO_SAMPLERS
from grpctracing.injection.overrides import hint
from grpctracing.injection.verdict import Action, Reason, State, Verdict

if TYPE_CHECKING:
    from grpctracing.api import GrpcTracing
    from grpctracing.injection.decide import Seen
    from grpctracing.injection.plan import Plan

ELSEWHERE: Final = "Spans go to a Collector of yours, so nobody here has seen one."


def healthy(seen: Seen, tracing: GrpcTracing, wanted: Plan) -> Verdict:
    """Return the answer where all pods are up: whether their spans have been seen."""
    if seen.spans_seen:
        text = "Healthy, and the Collector receives its spans."
        return Verdict(Action.NOTHING, State.INSTRUMENTED, Reason.SPANS_SEEN, text)
    if (blind := unwatched(seen, tracing)) is not None:
        return injected(Reason.UNVERIFIED, f"Injected and healthy. {blind}")
    bound = seconds(tracing.spec.rollout.health_timeout)
    left = bound - min(seen.healthy_for, seen.heard_for or 0.0)  # nobody has listened for longer
    if left > 0:
        text = f"Injected and healthy; no span has arrived yet.{hint(wanted) or ' Spans come with the first calls.'}"
        return injected(Reason.NO_SPANS_YET, text, requeue=left + 1.0)
    text = (
        f"Injected and healthy, and the Collector has received no span of its pods for {bound:.0f} s. "
        f"Check:{hint(wanted)}{unsampled(tracing)} Are gRPC calls made or served? Does a NetworkPolicy keep its pods from "
        "otel-collector:4317? Does its log have a line that begins with grpctracing?"
    )
    return injected(Reason.NO_SPANS, text)


def injected(reason: Reason, message: str, requeue: float | None = None) -> Verdict:
    """Return the verdict on a workload that is as it should be, as far as anybody knows."""
    return Verdict(Action.NOTHING, State.INJECTED, reason, message, requeue=requeue)


def unwatched(seen: Seen, tracing: GrpcTracing) -> str | None:
    """Return why nobody here can say whether spans arrive, or None."""
    if tracing.spec.collector.mode == "External":
        return ELSEWHERE
    if seen.spans_seen is None:
        return "Whether spans arrive was not looked at here."
    if seen.heard_for is None:
        return "Whether spans arrive is not known: the Collector (otel-collector:8889) has not answered the operator."
    return None


def unsampled(tracing: GrpcTracing) -> str:
    """Return how the sampler keeps spans from being recorded."""
    sampler = tracing.spec.sampler
    ratio = float(sampler.argument or 1) if sampler.type in RATIO_SAMPLERS else math.inf
    if sampler.type.endswith("always_off") or ratio < 1:
        given = f" {sampler.argument}" if sampler.type in RATIO_SAMPLERS else ""
        return f" Calls that the sampler {sampler.type}{given} leaves out are no spans."
    return ""
