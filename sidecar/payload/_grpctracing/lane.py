"""One signal's way to its Collector.

One unsent request per signal is kept and tried again with growing pauses; meanwhile the bounded buffer fills and counts what it drops. That is
the circuit: a Collector that is away costs one small attempt every 30 s.
"""

from time import monotonic

from . import ids, log

SENT, RETRY, FAILED = "sent", "retry", "failed"
_MAX_ATTEMPTS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class Outcome:
    """What came of one send. *retry_after*: seconds that the Collector asked for, or None. *rejected*: items it took but refused."""

    __slots__ = ("message", "rejected", "result", "retry_after")

    def __init__(self, result, retry_after=None, rejected=0, message=""):
        self.result = result
        self.retry_after = retry_after
        self.rejected = rejected
        self.message = message


class Lane:
    """One signal's way to its Collector: the request that waits to be sent (again), and when."""

    def __init__(self, signal, endpoint, transport):
        self.signal = signal
        self.endpoint = endpoint
        self.transport = transport
        self.pending = None
        self.interrupted = self.sending = False
        self.sent = self.lost = self.rejected = self.failures = 0
        self._weight = self._attempts = self._in_a_row = 0
        self._next_at = 0.0

    def offer(self, body, weight):
        """Make *body*, which carries *weight* items, the pending request."""
        self.pending, self._weight, self._attempts = body, weight, 0

    def blocked(self, now):
        """Return whether a request waits for its time to be sent again."""
        return self.pending is not None and now < self._next_at

    def push(self, now, deadline):
        """Send the pending request if it is due (with a *deadline*: at once, and not beyond). Return whether the way is free for another one."""
        if self.pending is None:
            return True
        if deadline is None and self.blocked(now):
            return False
        timeout = self.endpoint.timeout if deadline is None else min(self.endpoint.timeout, deadline - now)
        if timeout <= 0 or self.interrupted:
            return False
        self.sending = True
        try:
            outcome = self.transport.send(self.signal, self.endpoint, self.pending, timeout)
        finally:
            self.sending = False
        if self.interrupted and outcome.result != SENT:  # by us, so it says nothing about the Collector
            return False
        return self._settle(outcome)

    def _settle(self, outcome):
        if outcome.result == SENT:
            if self._in_a_row:
                log.info("%s reach %r again" % (self.signal, self.endpoint))
            if outcome.rejected or outcome.message:
                log.info(
                    "%s: the Collector refused %d of %d: %s"
                    % (self.signal, outcome.rejected, self._weight, outcome.message)
                )
            self.sent += self._weight - min(outcome.rejected, self._weight)
            self.rejected += outcome.rejected
            self.pending, self._in_a_row, self._next_at = None, 0, 0.0
            return True
        self.failures += 1
        self._in_a_row += 1
        self._attempts += 1
        if self._in_a_row == 1:
            log.info("%s do not reach %r: %s" % (self.signal, self.endpoint, outcome.message))
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._in_a_row - 1, 8))
        pause *= 0.5 + ids.bits(16) / 131072.0  # half to whole, so that many pods do not come back at once
        if outcome.retry_after is not None:
            pause = min(max(outcome.retry_after, 0.0), 10 * _LONGEST_PAUSE)
        self._next_at = monotonic() + pause
        if outcome.result == FAILED or self._attempts >= _MAX_ATTEMPTS:
            self.lost += self._weight
            self.pending = None
            self._next_at = 0.0 if outcome.result == FAILED and self._in_a_row == 1 else self._next_at
        return False
