"""The policies of tail sampling: a trace is kept when one of them says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpctracing.api import seconds

if TYPE_CHECKING:
    from grpctracing.api import TailSampling


def tail_sampling(settings: TailSampling) -> dict[str, Any]:
    """Return the settings of the tail_sampling processor."""
    return {
        "decision_wait": settings.decision_wait,
        "num_traces": settings.max_traces,
        # A span that comes after the decision follows it as long as the decision is remembered.
        "decision_cache": {
            "sampled_cache_size": 10 * settings.max_traces,
            "non_sampled_cache_size": 10 * settings.max_traces,
        },
        "policies": _policies(settings),
    }


def _policies(settings: TailSampling) -> list[dict[str, Any]]:
    nanoseconds = round(seconds(settings.slower_than) * 1e9)
    policies = [
        # What the bootstrap exported in spite of its sampler must not be dropped here.
        _spans("kept", 'span.attributes["grpctracing.keep"] != nil'),
        # The latency policy looks at whole traces: a slow root would keep everything below it and hide nothing else.
        _spans("slow", f"span.end_time_unix_nano - span.start_time_unix_nano >= {nanoseconds}"),
    ]
    if settings.errors:
        policies.append({"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}})
    percentage = float(settings.ratio) * 100
    policies.append({"name": "ratio", "type": "probabilistic", "probabilistic": {"sampling_percentage": percentage}})
    return policies


def _spans(name: str, condition: str) -> dict[str, Any]:
    """Return a policy that keeps a trace when *condition* holds for one of its spans."""
    return {"name": name, "type": "ottl_condition", "ottl_condition": {"error_mode": "ignore", "span": [condition]}}
