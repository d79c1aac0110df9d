"""What `spec.rollout.mode: Plan` says: which patch would be written, in few words, and how many pods would be replaced.

The patch is the very one that `Apply` writes; `explain` prints it whole. Here it is told by names, for a status is small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from grpctracing.injection.kinds import numbers
from grpctracing.injection.verdict import Action, Reason, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Object = Mapping[str, Any]

NOTHING_WRITTEN: Final = "spec.rollout.mode is Plan, so nothing is written; `explain` shows the patch."


def foretold(deployment: Object, patch: dict[str, Any], *more: str, tracing: str | None = None) -> Verdict:
    """Return the verdict on a Deployment to which *patch* would be written; *more* is what else its user is to know."""
    pods = restarts(deployment)
    number = f"{pods} pod{'' if pods == 1 else 's'}"
    text = " ".join((f"Would replace {number}: {', '.join(changes(patch))}.", NOTHING_WRITTEN, *filter(None, more)))
    return Verdict(Action.NOTHING, State.PENDING, Reason.PLANNED, text, patch=patch, tracing=tracing, restarts=pods)


def restarts(deployment: Object) -> int:
    """Return how many pods a change of the template replaces."""
    return numbers(deployment).replaced


def changes(patch: Object) -> Iterator[str]:
    """Yield what a patch changes, container by container."""
    pod = patch["spec"]["template"]["spec"]
    for container in pod.get("containers", ()):
        yield f"in {container['name']} {' and '.join(in_container(container))}"
    for volume in pod.get("volumes", ()):
        yield f"volume {volume['name']} {'out' if '$patch' in volume else 'in'}"


def in_container(container: Object) -> Iterator[str]:
    """Yield what is set and removed in one container."""
    entries = container.get("env", ())
    written = [entry["name"] for entry in entries if "$patch" not in entry]
    removed = [entry["name"] for entry in entries if "$patch" in entry]
    if written:
        yield f"set {' '.join(written)}"
    if removed:
        yield f"remove {' '.join(removed)}"
    for mount in container.get("volumeMounts", ()):
        yield f"{'unmount' if '$patch' in mount else 'mount'} {mount['mountPath']}"
