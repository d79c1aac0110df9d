"""Why the pods of a rollout do not come up: the evidence, read from what the kubelet and the controllers report.

Nothing that an application has written is quoted (its termination message, its log), and no variable: only reasons, exit
codes and counts, of which none can be a secret. An admission plug-in's words are quoted, cut short.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection.revisions import is_of, newest, runs_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Object = Mapping[str, Any]

CRASHES: Final = 3
"""Restarts that make a crash loop: four starts, the last after a pause of twenty seconds, all in vain."""
LONGEST: Final = 200
"""Characters that are quoted of somebody else's message."""
IMAGE: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
BEGINNING: Final = frozenset({"ContainerCreating", "PodInitializing"})


class Cause(Enum):
    """What kind of trouble it is, the clearest evidence first."""

    CRASH = auto()
    START = auto()
    CONFIGURATION = auto()
    IMAGE = auto()
    REFUSED = auto()
    UNSCHEDULED = auto()
    NOT_READY = auto()


NOT_STARTING: Final = frozenset({Cause.CRASH, Cause.START, Cause.CONFIGURATION, Cause.IMAGE})


@dataclass(frozen=True, slots=True)
class Failure:
    """What was seen: *message* for people. *at_once*: waiting any longer would tell nothing new.

    *ours* is False where going back can't help: a new image that can't be pulled is no doing of an injection.
    *generation* is that of the workload that it was seen of.
    """

    cause: Cause
    message: str
    at_once: bool = False
    ours: bool = True
    generation: int = 0


def diagnose(
    workload: Object, revisions: Sequence[Object], pods: Iterable[Object], *, generation: int
) -> Failure | None:
    """Return the clearest evidence against the present rollout; None where there is none.

    *pods* are those of the newest of *revisions*; which of both belong to *workload* is looked at here.
    """
    present = newest(workload, revisions)
    if present is None:
        return refused(workload, generation)
    found = [
        failure
        for pod in pods
        if is_of(pod, workload, present) and not pod["metadata"].get("deletionTimestamp")
        for failure in of_pod(pod, generation)
    ]
    if (refusal := refused(workload, generation)) is not None:
        found.append(refusal)
    worst = min(found, key=lambda failure: (not failure.at_once, failure.cause.value), default=None)
    if worst is not None and worst.cause is Cause.IMAGE and not runs_elsewhere(workload, revisions, present):
        return Failure(worst.cause, worst.message, ours=False, generation=generation)
    return worst


def refused(workload: Object, generation: int) -> Failure | None:
    """Return what keeps pods from being made: a quota, an admission plug-in, an invalid template."""
    for condition in (workload.get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            message = (
                f"pods are not made, {condition.get('reason', 'ReplicaFailure')}: {cut(condition.get('message', ''))}"
            )
            return Failure(Cause.REFUSED, message, generation=generation)
    return None


def of_pod(pod: Object, generation: int) -> Iterator[Failure]:
    """Yield what is wrong with one pod."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield Failure(Cause.UNSCHEDULED, "a pod finds no node to run on", generation=generation)
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        yield from of_container(container, generation)


def fails_for_good(pod: Object) -> bool:
    """Tell whether a pod crashes again and again, or can't be started. One that crashed once and runs is not meant."""
    return any(failure.at_once or failure.cause is Cause.START for failure in of_pod(pod, 0))


def broken(pod: Object, *, judged: bool) -> bool:
    """Tell whether a pod does not run. One that only is not ready yet counts where it was *judged* that it never will be."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions):
        return False
    return judged or any(failure.cause in NOT_STARTING for failure in of_pod(pod, 0))


def of_container(container: Object, generation: int) -> Iterator[Failure]:
    """Yield what is wrong with one container (a `ContainerStatus`)."""
    name, restarts = f'container "{container["name"]}"', container.get("restartCount", 0)
    state: Object = container.get("state") or {}
    waiting, ended = state.get("waiting"), state.get("terminated")
    before = ended or (container.get("lastState") or {}).get("terminated")
    reason = (waiting or {}).get("reason") or ""
    if reason in IMAGE:
        yield Failure(Cause.IMAGE, f"{name}: {reason}", generation=generation)
    elif reason.endswith("ConfigError"):  # a Secret that is missing, a key of it: whatever it has crashed of before
        more = f": {cut(waiting['message'])}" if waiting and waiting.get("message") else ""
        yield Failure(Cause.CONFIGURATION, f"{name}: {reason}{more}", generation=generation)
    elif before and not container.get("ready"):
        # One that crashed in earlier times and is only being made again is in no loop.
        looping = waiting is not None and restarts >= CRASHES and reason not in BEGINNING
        how = f"exit code {before.get('exitCode')}, {before.get('reason') or 'Error'}"
        told = f"{name} ended with {how}; {restarts} restarts{', ' + reason if reason else ''}"
        yield Failure(Cause.CRASH, told, at_once=looping, generation=generation)
    elif reason and reason not in BEGINNING:  # the runtime can't start it: a mount, an executable
        yield Failure(Cause.START, f"{name}: {reason}", generation=generation)
    elif "running" in state and not container.get("ready"):
        yield Failure(Cause.NOT_READY, f"{name} runs and is not ready", generation=generation)


def cut(text: str) -> str:
    """Return somebody else's words on one line and not longer than needed."""
    line = " ".join(str(text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
