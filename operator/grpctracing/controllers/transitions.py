"""What is worth an event and a log line: changes, not states, and not again after a restart."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from grpctracing.injection import Action, Reason, State
from grpctracing.kube.resources import key_of

if TYPE_CHECKING:
    from grpctracing.injection import Verdict
    from grpctracing.kube.events import Recorder
    from grpctracing.kube.resources import JSON

log = logging.getLogger(__name__)

TROUBLE: Final = frozenset(
    {
        Reason.CONTESTED,
        Reason.DUPLICATE_VARIABLE,
        Reason.INVALID_ANNOTATION,
        Reason.MOUNT_PATH_TAKEN,
        Reason.NOT_ON_TEMPLATE,
        Reason.ONLY_SIDECARS,
        Reason.IMAGE_REVERTED,
        Reason.PREFLIGHT_FAILED,
        Reason.PYTHONPATH_FROM_SOURCE,
        Reason.TOO_MANY_REVERTED,
        Reason.UNHEALTHY,
        Reason.UNKNOWN_CONTAINER,
        Reason.UNKNOWN_TRACING,
        Reason.VARIABLES_UNSEEN,
        Reason.VOLUME_NAME_TAKEN,
    }
)


@dataclass(slots=True)
class Transitions:
    """Tells people what changed about a workload."""

    recorder: Recorder
    started: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def told(self, deployment: JSON, before: Verdict | None, verdict: Verdict) -> None:
        """Post an event when the verdict on a workload has changed for better or worse."""
        if before is None:
            # First look since the start: only a Deployment that is younger than this process is news.
            if deployment["metadata"].get("creationTimestamp", "") < self.started:
                return
        elif (before.state, before.reason) == (verdict.state, verdict.reason):
            return
        if verdict.reason in TROUBLE or (verdict.state is State.DEGRADED):
            self.recorder.event(deployment, "Warning", verdict.reason.value, verdict.message)
        elif verdict.state is State.INSTRUMENTED:
            self.recorder.event(deployment, "Normal", "Instrumented", verdict.message)

    def wrote(self, deployment: JSON, verdict: Verdict) -> None:
        """Post an event about a patch that was accepted."""
        fields = {"workload": str(key_of(deployment)), "tracing": verdict.tracing}
        if verdict.action is Action.INJECT:
            message = f'Injected {", ".join(verdict.containers)} for GrpcTracing "{verdict.tracing}".'
            self.recorder.event(deployment, "Normal", "Injected", message)
            log.info("injected", extra={**fields, "containers": list(verdict.containers), "service": verdict.service})
        else:
            if verdict.state is not State.DEGRADED:  # else `told` has said so, as the warning that it is
                self.recorder.event(deployment, "Normal", "Reverted", f"Took the injection out. {verdict.message}")
            log.info("reverted", extra={**fields, "reason": verdict.reason.value})
