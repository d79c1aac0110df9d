"""What a decision is made of: plain data that the engine carries out and the status reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grpctracing.api import Reverted


class Action(StrEnum):
    """What the engine has to do with the workload; *RESTART* is of one pod, and no write to the workload."""

    INJECT = "inject"
    REVERT = "revert"
    RESTART = "restart"
    WAIT = "wait"
    NOTHING = "nothing"


class State(StrEnum):
    """Where a workload stands; the counts of the status add up over these."""

    PENDING = "Pending"
    PROGRESSING = "Progressing"
    INJECTED = "Injected"
    INSTRUMENTED = "Instrumented"
    DEGRADED = "Degraded"
    SKIPPED = "Skipped"


class Reason(StrEnum):
    """Why; the closed set that docs/reference/verdicts.md explains."""

    NOT_SELECTED = "NotSelected"
    OPTED_OUT = "OptedOut"
    KIND_NOT_PATCHED = "KindNotPatched"
    UNINSTALLING = "Uninstalling"
    UNKNOWN_TRACING = "UnknownTracing"
    ONLY_SIDECARS = "OnlySidecars"
    UNKNOWN_CONTAINER = "UnknownContainer"
    INVALID_ANNOTATION = "InvalidAnnotation"
    VARIABLES_UNSEEN = "VariablesUnseen"
    NOT_ON_TEMPLATE = "NotOnTemplate"
    DUPLICATE_VARIABLE = "DuplicateVariable"
    PYTHONPATH_FROM_SOURCE = "PythonPathFromSource"
    MOUNT_PATH_TAKEN = "MountPathTaken"
    VOLUME_NAME_TAKEN = "VolumeNameTaken"
    PYTHON_TOO_OLD = "PythonTooOld"
    NO_GRPCIO = "NoGrpcio"
    ALREADY_INSTRUMENTED = "AlreadyInstrumented"
    PREFLIGHT_FAILED = "PreflightFailed"
    PROBING = "Probing"
    PLANNED = "Planned"
    CONTESTED = "Contested"
    PAUSED = "Paused"
    NOT_HEALTHY = "NotHealthy"
    OTHER_ROLLOUT = "OtherRollout"
    DISRUPTION_BUDGET = "DisruptionBudget"
    IMAGE_REVERTED = "ImageReverted"
    TOO_MANY_REVERTED = "TooManyReverted"
    FIRST_OF_IMAGE = "FirstOfImage"
    ROLLOUT_SLOT = "RolloutSlot"
    PREPARING = "Preparing"
    PATCHING = "Patching"
    REFUSED = "Refused"
    ROLLING_OUT = "RollingOut"
    RESTARTING = "Restarting"
    UNHEALTHY = "Unhealthy"
    REVERTED = "Reverted"
    SCALED_TO_ZERO = "ScaledToZero"
    HELD_BACK = "HeldBack"
    NOT_PYTHON = "NotPython"
    NO_SPANS_YET = "NoSpansYet"
    NO_SPANS = "NoSpans"
    THROUGH_ADMISSION = "ThroughAdmission"
    UNVERIFIED = "Unverified"
    SPANS_SEEN = "SpansSeen"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one workload.

    *tracing* is the object in whose status it is told (None: in none); *requeue* is in seconds, for what no event will
    tell; *others* are objects that match too and stand back; *probe* are containers whose images nobody has looked into yet.
    *image* is the digest of its images and the bootstrap, and *proved* says that pods of both have been well for a while.
    *record* is to be remembered before a revert is written. *restarts* is how many pods a patch that is only told would replace.
    """

    action: Action
    state: State
    reason: Reason
    message: str = ""
    patch: dict[str, Any] | None = None
    tracing: str | None = None
    service: str = ""
    containers: tuple[str, ...] = ()
    requeue: float | None = None
    others: tuple[str, ...] = ()
    image: str = ""
    proved: bool = False
    record: Reverted | None = None
    probe: tuple[str, ...] = ()
    restarts: int = 0
