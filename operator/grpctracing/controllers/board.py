"""The board: the last verdict on each workload, and the state of each GrpcTracing. What the status is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from grpctracing import telemetry
from grpctracing.injection import Action, Reason, State, Verdict, names
from grpctracing.kube.resources import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


UNREADABLE: Final = "Unreadable"
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tracing controller found out about one GrpcTracing.

    *collector* and *trouble* are (reason, message); *collector_ready* is None where it is not ours to know (External).
    *policy* tells whether the policy of the admission strategy is in force.
    """

    collector_ready: bool | None = False
    collector: tuple[str, str] = ("Creating", "The Collector is being created.")
    trouble: tuple[str, str] | None = None
    policy: bool = False

    @property
    def undecided(self) -> bool:
        """Tell whether nothing can be said about workloads: what was said of them last stands."""
        return self.trouble is not None and self.trouble[0] == UNREADABLE


@dataclass(slots=True)
class Board:
    """Written by the controllers, read by the status; *changed* is called with a GrpcTracing's key."""

    changed: Callable[[Key], None]
    facts: dict[Key, Facts] = field(default_factory=dict)
    _verdicts: dict[Key, Verdict] = field(default_factory=dict)
    _listed: dict[Key, dict[str, Verdict]] = field(default_factory=dict)
    _proved: dict[str, int] = field(default_factory=dict)
    _trying: dict[tuple[str, str], int] = field(default_factory=dict)
    _progressing: dict[Key, int] = field(default_factory=dict)
    _surveyed: set[str] = field(default_factory=set)
    _unseen: dict[str, Key] = field(default_factory=dict)
    _excused: dict[str, set[Key]] = field(default_factory=dict)
    """Namespace → its workloads without a verdict for which it need not wait."""

    def report(self, key: Key, verdict: Verdict) -> Verdict | None:
        """Note the verdict on a workload; return the one before."""
        before = self._verdicts.get(key)
        told = replace(verdict, patch=None)  # may be large, and belongs to a version that is soon gone
        self._verdicts[key] = told
        if before != told:
            self._count_images(key, before, -1)
            self._count_images(key, told, 1)
            self._unlist(key, before)
            for tracing, line in lines(key, told):
                self._listed.setdefault(tracing, {})[key.label] = line
                if line.state is State.PROGRESSING:
                    tally(self._progressing, tracing, 1)
                self.changed(tracing)
            count(before, told)
        return before

    def forget(self, key: Key) -> None:
        """Drop a workload that is gone."""
        self._excused.get(key.namespace, set()).discard(key)
        if self._unseen.get(key.namespace) == key:
            del self._unseen[key.namespace]
        before = self._verdicts.pop(key, None)
        self._count_images(key, before, -1)
        self._unlist(key, before)
        count(before, None)

    def stumbled(self, key: Key) -> None:
        """Note that no verdict on a workload could be had: its namespace does not wait for one."""
        self._excused.setdefault(key.namespace, set()).add(key)

    def pass_over(self, key: Key) -> None:
        """Note that there is nothing to find out about a workload: nobody asks for it, and nothing of ours is on it."""
        self._excused.setdefault(key.namespace, set()).add(key)

    def reconsider(self, namespace: str) -> None:
        """Note that all workloads of a namespace are looked at again: somebody may ask now for those that nobody asked for."""
        if self._excused.pop(namespace, None):
            self._surveyed.discard(namespace)

    def found(self, key: Key, facts: Facts) -> None:
        """Note the state of a GrpcTracing."""
        if self.facts.get(key) != facts:
            self.facts[key] = facts
            self.changed(key)

    def policy_in_force(self, tracing: Key) -> bool:
        """Tell whether pods come through the policy of a GrpcTracing."""
        facts = self.facts.get(tracing)
        return facts is not None and facts.policy

    def drop(self, key: Key) -> None:
        """Drop a GrpcTracing that is gone."""
        self.facts.pop(key, None)

    def leave(self, namespace: str) -> None:
        """Count a namespace as not looked at: its workloads are forgotten, each by itself."""
        self._surveyed.discard(namespace)
        self._unseen.pop(namespace, None)
        self._excused.pop(namespace, None)

    def workloads(self, tracing: Key) -> dict[str, Verdict]:
        """Return the verdicts on the workloads of a GrpcTracing by label: what they are called within the namespace."""
        return self._listed.get(tracing, {})

    def progressing(self, tracing: Key, but: Key) -> int:
        """Return how many workloads of *tracing* other than *but* roll out because of us."""
        own = self.workloads(tracing).get(but.label)
        itself = but.namespace == tracing.namespace and own is not None and own.state is State.PROGRESSING
        return self._progressing.get(tracing, 0) - itself

    def proved(self, image: str) -> bool:
        """Tell whether a workload with these images, of whatever namespace, is well with the injection."""
        return image in self._proved

    def trying(self, image: str, but: Key) -> bool:
        """Tell whether a workload of the same namespace and images other than *but* rolls out because of us.

        Of other namespaces none is waited for: what is stuck there is none of this one's business.
        """
        own = self._verdicts.get(but)
        itself = own is not None and own.image == image and own.state is State.PROGRESSING
        return self._trying.get((but.namespace, image), 0) > itself

    def refused(self, key: Key) -> bool:
        """Tell whether the API server did not take the last patch of a workload."""
        verdict = self._verdicts.get(key)
        return verdict is not None and verdict.reason is Reason.REFUSED

    def surveyed(self, namespace: str, keys: Iterable[Key]) -> bool:
        """Tell whether each of a namespace's workloads has been looked at since the start (then it stays so).

        Before that no number is known: neither how many roll out already, nor what the status should say.
        """
        if namespace in self._surveyed:
            return True
        if (unseen := self._unseen.get(namespace)) is not None and not self._seen(unseen):
            return False  # thousands ask, and one that is missing answers them all
        missing = [key for key in keys if not self._seen(key)]
        if missing:
            self._unseen[namespace] = missing[-1]  # the last in order is the last to be looked at
            return False
        self._unseen.pop(namespace, None)
        self._surveyed.add(namespace)
        return True

    def has_verdict(self, key: Key) -> bool:
        """Tell whether there is a verdict on a workload."""
        return key in self._verdicts

    def _seen(self, key: Key) -> bool:
        return key in self._verdicts or key in self._excused.get(key.namespace, ())

    def _count_images(self, key: Key, verdict: Verdict | None, by: int) -> None:
        if verdict is None:
            return
        if verdict.proved:
            tally(self._proved, verdict.image, by)
        if verdict.state is State.PROGRESSING:
            tally(self._trying, (key.namespace, verdict.image), by)

    def _unlist(self, key: Key, verdict: Verdict | None) -> None:
        if verdict is None:
            return
        for tracing, line in lines(key, verdict):
            listed = self._listed.get(tracing, {})
            if listed.pop(key.label, None) is not None and line.state is State.PROGRESSING:
                tally(self._progressing, tracing, -1)
            if not listed:
                self._listed.pop(tracing, None)
            self.changed(tracing)


def lines(key: Key, verdict: Verdict) -> Iterable[tuple[Key, Verdict]]:
    """Yield in whose status a verdict is told, and how: objects that match too say that they stand back."""
    if verdict.tracing is None:
        return
    yield Key(key.namespace, verdict.tracing), verdict
    for other in verdict.others:
        message = (
            f'Belongs to GrpcTracing "{verdict.tracing}", which also matches and is older or named by the annotation. To have '
            f"it here, annotate the workload {names.INJECT}={other}."
        )
        yield Key(key.namespace, other), Verdict(Action.NOTHING, State.SKIPPED, Reason.NOT_SELECTED, message)


def tally(numbers: dict[K, int], what: K, by: int) -> None:
    """Count *what* up or down; what is down to nothing takes no memory."""
    numbers[what] = numbers.get(what, 0) + by
    if not numbers[what]:
        del numbers[what]


def count(before: Verdict | None, after: Verdict | None) -> None:
    """Keep the metric of workloads per state."""
    if before is not None and before.tracing is not None:
        telemetry.WORKLOADS.labels(before.state).dec()
    if after is not None and after.tracing is not None:
        telemetry.WORKLOADS.labels(after.state).inc()
