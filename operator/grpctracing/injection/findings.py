"""What a preflight pod found in an image: read from the pod, kept as text, read again after a restart.

What comes from a pod or a ConfigMap is another's word: each value is checked, and what does not fit is no finding.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPORT_VERSION: Final = 1
"""Of what `_grpctracing/probe.py` reports; a report of another version is asked for again."""
OLDEST_PYTHON: Final = (3, 8)
ABSENT: Final = re.compile(r"executable file .*not found|no such file or directory|not a directory", re.IGNORECASE)
"""How containerd, CRI-O and Docker say that a container's command does not exist."""
UNPULLED: Final = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
UNSTARTABLE: Final = frozenset({"CreateContainerError", "RunContainerError", "CreateContainerConfigError"})
PROBE: Final = "probe-"
"""What the names of a preflight pod's own containers begin with."""
LONGEST: Final = 300
"""Characters of somebody else's message that are passed on."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the probe saw. *python* is None where no interpreter was there to run it; *grpcio* where it is not installed.

    *elsewhere* is a grpc that the probing interpreter does not see. *pythonpath* and *variables* (names that begin with
    OTEL_) are the image's own; *agents* are packages that may trace by themselves, with their versions.
    """

    python: tuple[int, int] | None = None
    grpcio: str | None = None
    elsewhere: str | None = None
    pythonpath: str = ""
    variables: frozenset[str] = frozenset()
    agents: tuple[tuple[str, str], ...] = ()

    @property
    def old(self) -> bool:
        """Tell whether the bootstrap would only stand aside: it traces in Python 3.8 and newer."""
        return self.python is not None and self.python < OLDEST_PYTHON


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing is known of an image. *unpullable*: no new pod of the application could start either."""

    why: str
    unpullable: bool = False


Finding = Report | Failure


def parse(text: str) -> Report | None:
    """Return the report that *text* is, or None."""
    try:
        data = json.loads(text)
        if data["version"] != REPORT_VERSION:
            return None
        major, minor, *_ = (int(part) for part in data["python"].split(".")) if data["python"] else (0, 0)
        report = Report(
            (major, minor) if major else None,
            word(data["grpcio"]),
            word(data["elsewhere"]),
            str(data["pythonpath"]),
            frozenset(str(name) for name in data["variables"]),
            tuple(sorted((str(name), str(version)) for name, version in data["agents"].items())),
        )
        report.pythonpath.encode()  # a path that is no UTF-8 can't be written into a Deployment
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return report


def word(value: Any) -> str | None:
    """Return a text that may be missing."""
    return None if value is None else str(value)


def text(report: Report) -> str:
    """Return *report* so that `parse` finds it again."""
    values = {
        "version": REPORT_VERSION,
        "python": None if report.python is None else ".".join(map(str, report.python)),
        "grpcio": report.grpcio,
        "elsewhere": report.elsewhere,
        "pythonpath": report.pythonpath,
        "variables": sorted(report.variables),
        "agents": dict(report.agents),
    }
    return json.dumps(values)


def read(pod: Mapping[str, Any]) -> Finding | None:
    """Return what a preflight pod has found, or None while it is at work.

    Each of its containers tries another interpreter; the report of the one most likely to run the application counts.
    """
    status = pod.get("status") or {}
    states = {entry["name"]: entry.get("state") or {} for entry in status.get("containerStatuses") or ()}
    # Others may have put containers of theirs beside ours.
    names = [item["name"] for item in pod["spec"]["containers"] if item["name"].startswith(PROBE)]
    outcomes = [judge(states.get(name, {})) for name in names]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    for failure in failures:
        if failure.unpullable:
            return failure
    if None in outcomes and status.get("phase") not in {"Failed", "Succeeded"}:
        return None
    if reports := [outcome for outcome in outcomes if isinstance(outcome, Report)]:
        return max(reports, key=likelihood)  # the first of equals: they stand in the order of likelihood
    if all(outcome is ABSENCE for outcome in outcomes):
        return Report()
    return next(iter((*trouble_of_pod(status), *failures)), Failure("the preflight pod ended without a report"))


class Absent:
    """A container whose interpreter the image does not have."""


ABSENCE: Final = Absent()


def judge(state: Mapping[str, Any]) -> Report | Failure | Absent | None:
    """Return what one container's state says, None while it says nothing final."""
    if ended := state.get("terminated"):
        message, reason = str(ended.get("message") or ""), str(ended.get("reason") or "")
        if (report := parse(message.strip())) is not None:
            return report
        if reason in {"StartError", "ContainerCannotRun"} and ABSENT.search(message):
            return ABSENCE
        told = f": {message.strip()[-LONGEST:]}" if message.strip() else ""
        return Failure(f"the probe ended with exit code {ended.get('exitCode')} ({reason or 'no reason'}){told}")
    if waiting := state.get("waiting"):
        message, reason = str(waiting.get("message") or ""), str(waiting.get("reason") or "")
        if reason in UNPULLED:
            return Failure(f"{reason}: {message[:LONGEST]}", unpullable=True)
        if reason in UNSTARTABLE:
            return ABSENCE if ABSENT.search(message) else Failure(f"{reason}: {message[:LONGEST]}")
    return None


def trouble_of_pod(status: Mapping[str, Any]) -> Iterator[Failure]:
    """Yield why the pod as a whole was ended: its deadline, an eviction, a node that refused it."""
    if status.get("phase") == "Failed" and (reason := status.get("reason")):
        yield Failure(f"{reason}: {str(status.get('message') or 'no message')[:LONGEST]}")


def unstarted(pod: Mapping[str, Any]) -> Failure:
    """Return why a pod that was given up has not run, as far as its status tells."""
    status = pod.get("status") or {}
    told = [
        f"{condition.get('reason')}: {str(condition.get('message') or '')[:LONGEST]}"
        for condition in status.get("conditions") or ()
        if condition["type"] == "PodScheduled" and condition["status"] == "False"
    ]
    told += [
        f"{waiting.get('reason')}: {str(waiting.get('message') or '')[:LONGEST]}"
        for entry in status.get("containerStatuses") or ()
        if (waiting := (entry.get("state") or {}).get("waiting"))
    ]
    return Failure(f"the preflight pod has not run in time ({'; '.join(told[:1]) or 'no reason is given'})")


def likelihood(report: Report) -> tuple[bool, bool]:
    """Sort key: an interpreter that sees grpc and is new enough is the one that runs a gRPC application."""
    return (report.grpcio is not None and not report.old, not report.old)
