"""One of two processes ends while calls of all kinds are going on between them: killed, by SIGTERM, or because its main thread is through."""

import json
import signal
from contextlib import ExitStack, suppress
from functools import partial

import pytest

from tests.bootstrap.endings.expect import right, spans_of
from tests.bootstrap.endings.processes import launch
from tests.bootstrap.endings.table import BOTH, LIVES, cells
from tests.bootstrap.process import wait
from tests.bootstrap.receiver import Receiver

HOOKS = ("internal", "public")
CELLS = [(hooks, stack, case) for hooks in HOOKS for stack in BOTH for case in cells(LIVES, stack)]
STATUS = {"Killed": -signal.SIGKILL, "Terminated": -signal.SIGTERM, "Exits": 0}


class Pair:
    """A server and a client of *stack*, one of which comes to the *ending*."""

    def __init__(self, stack, ending, launch):
        self.stack, self.ending, self.launch = stack, ending, launch
        self.cases = [case for case in cells(LIVES, stack) if case.startswith(ending + "_")]
        self.server = launch("serve", stack)

    def call(self):
        """Start the client; its calls begin."""
        port = self.server.stdout.readline().strip()
        self.client = self.launch("call", self.stack, port, self.ending)

    def end(self):
        """Wait until all handlers run, then end one process and let its end be seen."""
        assert {self.server.stdout.readline().strip() for _ in self.cases} == set(self.cases)
        who, how = (
            (self.server, self.ending[6:]) if self.ending.startswith("Server") else (self.client, self.ending[6:])
        )
        if how != "Exits":
            who.send_signal(-STATUS[how])
        ended = wait(who)  # closes its stdin: that is what a client that exits waits for
        assert (ended.code, ended.err) == (STATUS[how], "")


@pytest.fixture(scope="module")
def told():
    """What happened by each path: {hooks: ({(stack, ending): what the client's application saw}, {stack: spans})}."""
    return {hooks: live(hooks) for hooks in HOOKS}


def live(hooks):
    """All pairs live at the same time."""
    with ExitStack() as stack:
        receivers = {name: stack.enter_context(Receiver()) for name in BOTH}
        launchers = {
            name: partial(launch, stack, "lives.py", endpoint=receivers[name].endpoint, GRPCTRACING_HOOKS=hooks)
            for name in BOTH
        }
        pairs = [
            Pair(name, ending, launchers[name])
            for name in BOTH
            for ending in dict.fromkeys(row.name for row in LIVES if name in row.stacks)
        ]
        for pair in pairs:
            pair.call()
        for pair in pairs:
            pair.end()
        seen = {
            (pair.stack, pair.ending): json.loads(pair.client.stdout.readline())
            for pair in pairs
            if pair.ending.startswith("Server")
        }
        for name, receiver in receivers.items():
            rows = cells(LIVES, name)
            wanted = [(side, case) for case, row in rows.items() for side in ("CLIENT", "SERVER") if row.codes(side)]
            with suppress(AssertionError):  # the test of that cell says what is missing
                receiver.wait_for(lambda spans, wanted=wanted: all(spans_of(spans, *one) for one in wanted))
        return seen, {name: list(receiver.spans) for name, receiver in receivers.items()}


@pytest.mark.parametrize(("hooks", "stack", "case"), CELLS)
def test_ending(told, hooks, stack, case):
    seen, spans = told[hooks][0].get((stack, case.partition("_")[0])), told[hooks][1][stack]
    row = cells(LIVES, stack)[case]
    client, server = right(spans, "CLIENT", case, row), right(spans, "SERVER", case, row)
    if client and server:
        assert (server.trace, server.parent) == (client.trace, client.id)
    if seen is not None:
        assert seen[case] in row.codes("CLIENT")
