"""The exporter's thread: takes what is finished, encodes it, sends it, tries again within bounds, and never holds the process up.

The thread starts with the first finished call. It sleeps on a bare lock that works as a binary semaphore: `wake()` releases it. While calls flow it
looks every `delay` seconds, or at once when a full batch waits; when nothing flows it sleeps until the metrics are due. Raw `_thread` primitives, taken from
under gevent's or eventlet's patches, because a green thread would stall in a blocking send, and because the thread then stays out of
`threading.enumerate()`, where an application would meet it.
"""

from contextlib import suppress
from time import monotonic

from . import context, log
from .buffer import Buffer
from .dormant import primitives
from .lane import Lane

_IDLE = 3600.0
_LARGEST = 3 << 20  # bytes of one request: a Collector takes 4 MiB over gRPC, and refuses what is longer as a whole
_SHORTEST_LOOK = 0.05
_REST = 0.0001
_START_SECONDS = 0.2
_BREAKS, _BREAK_SECONDS = 5, 0.2  # a call whose channel is closed returns within a millisecond


class Exporter:
    """The thread and its lanes. One per process and pipeline; a forked child gets a new one."""

    def __init__(self, config, buffer, meter, work):
        """*work* has connect(endpoint) → transport, encode(items, rest) and collect() → request bytes or b"" for none, error(exception, where)."""
        self.asleep = True
        self.hurry = False
        self._config = config
        self._buffer = buffer
        self.meter = meter
        self._work = work
        self._start_thread, self._allocate_lock = primitives()
        self._semaphore = self._allocate_lock()
        self._semaphore.acquire()
        self._resting = self._allocate_lock()
        self._resting.acquire()
        self._starting = self._allocate_lock()
        self._working = self._allocate_lock()
        self._started = self._stop = self._ended = False
        self._waiters = []
        self._deadline = None
        self._lane()
        self._metrics_at = monotonic() + config.metric_interval

    def _lane(self):
        config = self._config
        self.spans = self.metrics = None
        if "otlp" in config.trace_exporters:
            self.spans = Lane("traces", config.traces, self._work.connect(config.traces))
        if "otlp" in config.metric_exporters:
            shared = self.spans is not None and config.traces.identity() == config.metrics.identity()
            self.metrics = Lane(
                "metrics", config.metrics, self.spans.transport if shared else self._work.connect(config.metrics)
            )
        self._source = self._buffer
        self._parts = []  # of a batch that was too large, the next one last
        self._console = "console" in config.trace_exporters
        self._prints_metrics = "console" in config.metric_exporters
        if self._console:
            self._source = Buffer(self._buffer.size)  # what is printed waits here for its other way

    def lanes(self):
        """Return the lanes in the order in which they are served."""
        return [lane for lane in (self.spans, self.metrics) if lane is not None]

    def wake(self):
        """Let the thread look soon; start it if there is none. Called on the call's path, but only when `asleep` or `hurry` says so."""
        self.asleep = False
        if not self._started and not self._start():
            return
        with suppress(RuntimeError):  # it has been released already, so the thread is about to look anyway
            self._semaphore.release()

    def _start(self):
        # forever would be a deadlock where a signal's handler flushes in the very thread that is starting ours
        if not self._starting.acquire(True, _START_SECONDS):  # noqa: FBT003 - a lock's acquire takes no keywords before 3.13
            return False
        try:
            if not self._started and not self._stop:
                try:
                    self._start_thread(self._run, ())
                except (
                    RuntimeError
                ) as problem:  # no thread to be had, or the interpreter is ending; a full batch tries again
                    log.debug("no thread: %s" % problem)
                    self.hurry = False
                    return False
                self._started = True
        finally:
            self._starting.release()
        return self._started

    def _run(self):
        context.suppressed.set(True)
        while not self._ended:
            try:
                self._sleep()
                with self._working:
                    self._cycle()
            except Exception as problem:
                self._work.error(problem, "exporter")

    def _sleep(self):
        now = monotonic()
        if not self._busy() and not self._stop:
            self.asleep = True
            if self._busy() or self._waiters:  # came between the two looks
                self.asleep = False
            else:
                self._wait(
                    max(0.0, self._metrics_at - now)
                    if (self.metrics or self._prints_metrics) and self.meter.used
                    else _IDLE
                )
                self.asleep = False
        while self._semaphore.acquire(False):  # noqa: FBT003 - an old wake-up would cut the wait for a batch short
            pass
        if self._waiters or self._stop:
            return
        blocked = any(lane.blocked(now) for lane in self.lanes())
        if blocked or len(self._buffer) < self._config.batch_size:
            self._wait(max(self._config.delay, _SHORTEST_LOOK if blocked else 0.0))

    def _wait(self, seconds):
        self._semaphore.acquire(True, seconds)  # noqa: FBT003 - a lock's acquire takes no keywords before 3.13

    def _rest(self):
        """Let go of the interpreter. Whoever waits for it would otherwise get it after 5 ms (sys.getswitchinterval), which a whole batch takes."""
        self._resting.acquire(True, _REST)  # noqa: FBT003 - as above; never released, so it waits

    def _busy(self):
        waiting = len(self._buffer) or len(self.meter) or self._parts
        return bool(waiting or any(lane.pending is not None for lane in self.lanes()))

    def _cycle(self):
        waiters, self._waiters = self._waiters, []
        stop, deadline = self._stop, self._deadline if waiters else None
        try:
            self.meter.fold()
            if self._console:
                self._print_spans()
            self._send_spans(deadline)
            self._send_metrics(deadline, bool(waiters))
        finally:
            # stays set while nothing can be sent: a full buffer need not wake the thread with every call
            self.hurry = self.spans is not None and self.spans.pending is not None
            if stop:
                self._ended = True
            for waiter in waiters:
                waiter.release()

    def _print_spans(self):
        for item in self._buffer.take(len(self._buffer)):
            log.write(log.span_line(item))
            if self.spans is not None:
                self._source.put(item)

    def _send_spans(self, deadline):
        lane = self.spans
        if lane is None:
            return
        while True:
            if lane.pending is None:
                batch = self._parts.pop() if self._parts else self._source.take(self._config.batch_size)
                if not batch:
                    return
                body = self._work.encode(batch, self._rest if deadline is None else None)
                if len(body) > _LARGEST and len(batch) > 1:
                    half = len(batch) // 2
                    self._parts += batch[half:], batch[:half]
                    continue
                if body:
                    lane.offer(body, len(batch))
            if (
                not lane.push(monotonic(), deadline) and lane.pending is not None
            ):  # what is refused for good is no reason to hold back the rest
                return
            if deadline is None and not self._parts and len(self._source) < self._config.batch_size:
                return

    def _send_metrics(self, deadline, flushing):
        lane, now = self.metrics, monotonic()
        due = flushing or now >= self._metrics_at
        if due:
            self._metrics_at = now + self._config.metric_interval
            if self._prints_metrics:
                for line in self.meter.lines():
                    log.write(line)
        if lane is None:
            return
        # a delta that was not sent must not be lost; a cumulative one is outdated
        if due and (lane.pending is None or not self._config.delta):
            body = self._work.collect()
            if body:
                lane.offer(body, 1)
        lane.push(monotonic(), deadline)

    def flush(self, timeout, stop=False):  # noqa: FBT002 - internal
        """Send all that waits, once, in at most *timeout* seconds. With *stop* the thread ends after that. Return whether it was done in time."""
        if self._stop or (not self._started and not self._busy()):
            self._stop = self._stop or stop
            return not self._busy()
        waiter = self._allocate_lock()
        waiter.acquire()
        self._deadline = monotonic() + timeout
        alone = not self._started and not self._start()
        self._stop = self._stop or stop
        self._waiters.append(waiter)
        if alone:
            self._work_alone(timeout)
        else:
            self.wake()
        return waiter.acquire(True, timeout)  # noqa: FBT003 - as above

    def _work_alone(self, timeout):
        """Do the thread's work in this one. A process that is leaving can start none (Python 3.12 and newer)."""
        if self.hold(timeout):
            token = context.suppressed.set(True)
            try:
                self._cycle()
            finally:
                context.suppressed.reset(token)
                self.release()

    def hold(self, timeout):
        """Keep the thread from working, before a fork. Return whether it rests.

        A call of ours that grpc's core is busy with ends the child in a SIGSEGV (seen: one in four). So an export that takes longer than *timeout* is broken
        off and sent again, which the Collector may then have twice; unless its transport stands a fork, as plain HTTP does: the child has locks of its own.
        """
        held = self._working.acquire(True, timeout)  # noqa: FBT003 - as above
        # several times: a call may be just about to open a new channel, or a connection that then stands a fork
        for _ in range(_BREAKS):
            if held or any(lane.sending and lane.transport.forkable() for lane in self.lanes()):
                break
            self._interrupt(True)  # noqa: FBT003 - internal
            held = self._working.acquire(True, _BREAK_SECONDS)  # noqa: FBT003 - as above
        if not held:
            self._interrupt(False)  # noqa: FBT003 - internal
        return held

    def _interrupt(self, now):
        for lane in self.lanes():
            lane.interrupted = now
            if now:
                lane.transport.renew()

    def release(self):
        """Let the thread work again."""
        self._interrupt(False)  # noqa: FBT003 - internal
        self._working.release()

    def close(self):
        """Close the transports; what is in flight ends."""
        for lane in self.lanes():
            lane.transport.close()

    def abandon(self):
        """Forget the transports, in a forked child."""
        for lane in self.lanes():
            lane.transport.abandon()
