"""One per process: what the hooks call. Decides, counts, hands over; the exporter's thread does the rest.

Rules that are decided here, and nowhere else:
- A call is *kept* (exported although the sampler said no) when its span status is an error and `keep.errors` is on, else when it ran at least `keep.slowerThan`
  seconds. `call.keep` names the reason and is set on kept calls only: a sampled call would be there anyway. What a rule drops is not kept.
- A kept span has the ids that were propagated, and its flags say the truth: not sampled.
- `OTEL_TRACES_EXPORTER=none` exports no span; context still travels with the sampler's answer in its flags, and metrics are still counted.
- `OTEL_SDK_DISABLED=true`, the kill switch of the live settings and 100 internal errors make `enabled` false: hooks then touch nothing.
  The kill switch can be taken back, the other two can't.
- Live settings are looked at (one stat) by whichever thread asks `enabled` first in a new second: no thread of ours is needed, and after an idle hour the
  first call already sees the change.
- SIGTERM: where the disposition is the default one when grpc is imported, a handler flushes for at most a second, restores the default and raises the
  signal again: the process dies of SIGTERM as it would have. As PID 1 it does not, because the kernel ignores a default SIGTERM there; then it goes on, as it
  would have. A handler that the application sets later replaces ours.
- After a fork the child has new ids, an empty queue, empty metrics, its own service.instance.id and no thread until its first finished call. A fork that Python
  is not told of is noticed when the live settings are next looked at.
"""

import os
import sys
from _thread import get_ident
from functools import partial
from time import monotonic, time_ns

from . import config as configuration
from . import context, ids, later, log, settings, status
from .buffer import Buffer, Counter, Points
from .context import RANDOM, SpanContext
from .dormant import Dormant
from .sampling import LOW_64

MAX_ERRORS = 100
_POLL_SECONDS = 1.0
_EXIT_SECONDS = 0.8  # with what else an exit costs, less than the promised second
_FORK_SECONDS = (
    0.1  # a fork waits that long for an export in flight, which takes 2 ms as a rule, before it is broken off
)
_MAX_METHODS = 4096


def create(environ=None, payload_dir=None):
    """Return the process's Pipeline. Reads *environ* and *payload_dir*/settings.json; no thread, no socket. Returns None if that failed (one line says why)."""
    try:
        pipeline = Pipeline(os.environ if environ is None else environ, payload_dir)
        pipeline.register()
    except Exception as problem:
        log.warn("not tracing: %s: %s" % (type(problem).__name__, problem))
        return None
    return pipeline


class Pipeline:
    """See the module's docstring. No public method raises for what it is documented to take; the hooks guard what they pass on from the application."""

    def __init__(self, environ, payload_dir=None):
        log.configure(environ)
        self._environ = dict(environ)
        self.config = configuration.Config(environ)
        self._broken = self.config.disabled
        self._errors = Counter()
        self._generation = 0
        self._pid = os.getpid()
        self._departure = later("departure")
        self._leaving = later("leaving")
        self._since = 0
        self._held = {}  # by forking thread: what it keeps from working
        self.header_names = self.config.propagation.header_names
        self.extract = self.config.propagation.extract
        self.inject = self.config.propagation.inject
        self._file = settings.File(os.path.join(payload_dir, "settings.json"), self.config) if payload_dir else None
        self.poll_at = 0.0
        self._apply(settings.from_environment(self.config))
        self.poll()
        self._renew()

    # ---- what is asked of every call

    @property
    def enabled(self):
        """Whether calls are to be traced now."""
        if monotonic() >= self.poll_at:
            self.poll()
        return self.on

    def excluded(self, method):
        """Return whether *method* ("/pkg.Svc/Method") belongs to an excluded service."""
        known = self.exclusions.get(method)
        if known is None:
            known = method.lstrip("/").rpartition("/")[0] in self.settings.excluded
            if len(self.exclusions) >= _MAX_METHODS:
                self.exclusions.clear()
            self.exclusions[method] = known
        return known

    def start(self, kind, method, parent, sampler=None):  # noqa: ARG002 - see _start_by_rules
        """Return (SpanContext, parent_id, sampled) of a new span below *parent* (SpanContext or None). *sampled* is None for one that is dropped."""
        if sampler is None:
            sampler = self.settings.sampler
        if parent is None:
            trace_id = ids.bits(128) or 1
            sampled = trace_id & LOW_64 < sampler.bound
            return SpanContext(trace_id, ids.bits(64) or 1, 3 if sampled else 2), 0, sampled
        trace_id = parent.trace_id
        sampled = parent.flags & 1 == 1 if sampler.parent_based else trace_id & LOW_64 < sampler.bound
        return (
            SpanContext(
                trace_id,
                ids.bits(64) or 1,
                parent.flags & 2 | sampled,
                parent.trace_state,
                False,  # noqa: FBT003 - not remote
                parent.hexadecimal,
            ),
            parent.span_id,
            sampled,
        )

    def _start_by_rules(self, rules, kind, method, parent):
        """Stand in for `start` while there are *rules* per method."""
        sampler = rules.of(method)
        if sampler is not None:
            return Pipeline.start(self, kind, method, parent, sampler)
        if parent is not None:
            return parent, parent.span_id, None
        return SpanContext(ids.bits(128) or 1, ids.bits(64) or 1, RANDOM), 0, None

    def finish(self, call):
        """Take the finished *call*: keep rule, metrics, queue. The call belongs to the pipeline from here on."""
        try:
            state = self.settings
            duration, code = call.end_ns - call.start_ns, call.code
            wanted = call.sampled
            if not wanted and wanted is not None:
                if code and state.keep_errors and status.is_error(call.kind, code):
                    call.keep, wanted = "error", True
                elif duration >= state.slow_ns:
                    call.keep, wanted = "slow", True
            if self._counts and state.metrics:
                target = call.target if call.kind == status.CLIENT else ""
                self.points.record(call.kind, (call.method, code, call.error_type, target), duration)
                if self._exporter.asleep:
                    self._exporter.wake()
            if wanted and self._exports_spans:
                call.locate()
                self._put(call)
            else:
                call.target = ""  # grpc's own objects are not kept waiting
        except Exception as problem:
            self.error(problem, "finish")

    def finish_span(self, span):
        """Take the finished ManualSpan *span* of a sampled trace."""
        try:
            if self._exports_spans:
                self._put(span)
        except Exception as problem:
            self.error(problem, "finish_span")

    def _put(self, item):
        exporter = self._exporter
        waiting = self.buffer.put(item)
        if waiting >= self.config.batch_size and not exporter.hurry:
            exporter.hurry = True
            exporter.wake()
        elif exporter.asleep:
            exporter.wake()

    # ---- live settings

    def poll(self):
        """Look whether the live settings have changed. Due at *poll_at*."""
        self.poll_at = monotonic() + _POLL_SECONDS
        if os.getpid() != self._pid:  # forked by C code (uWSGI's), of which Python's hooks hear nothing
            self._after_fork()
        try:
            state = self._file.changed() if self._file is not None else None
            if state is not None:
                self._apply(state)
        except Exception as problem:
            self.error(problem, "settings")

    def _apply(self, state):
        self.settings = state
        self.exclusions = {}
        self.__dict__.pop("start", None)
        if state.rules is not None:
            self.start = partial(self._start_by_rules, state.rules)
        self.on = state.enabled and not self._broken

    # ---- errors and counters

    def error(self, problem, where):
        """Count the internal error *problem*; past a bound, switch off."""
        self._errors.add()
        log.debug("internal error in %s: %r" % (where, problem))
        if not self._broken and self._errors.value() >= MAX_ERRORS:
            self._broken = True
            self.on = False
            log.warn(
                "switched off after %d internal errors; the last was in %s: %s: %s"
                % (MAX_ERRORS, where, type(problem).__name__, problem)
            )

    @property
    def counters(self):
        """What happened since the start of this process, by name."""
        spans, metrics = self._exporter.spans, self._exporter.metrics
        return {
            "internal_errors": self._errors.value(),
            "spans_dropped": self.buffer.dropped.value(),
            "spans_exported": spans.sent if spans else 0,
            "spans_lost": spans.lost if spans else 0,
            "spans_rejected": spans.rejected if spans else 0,
            "spans_waiting": len(self.buffer),
            "export_failures": sum(lane.failures for lane in self._exporter.lanes()),
            "metric_exports": metrics.sent if metrics else 0,
        }

    # ---- the process's life

    def _renew(self):
        """Make all that belongs to one process: buffer, meter, exporter."""
        self.buffer = Buffer(self.config.queue_size)
        self.points = Points(self._overflow)
        self._counts = bool(self.config.metric_exporters)
        self._exports_spans = bool(self.config.trace_exporters)
        self._exporter = Dormant(self._awake, lambda: len(self.buffer) or len(self.points), self._begun, self.error)

    def departed(self):
        """Return the Exporter, made if there is none yet."""
        exporter = self._exporter
        return exporter.exporter() if isinstance(exporter, Dormant) else exporter

    def _begun(self):
        """Take note that there is something to export. A multiprocessing worker leaves by os._exit, past atexit, so it needs another place to flush."""
        process, util = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
        if process is not None and util is not None and process.parent_process() is not None:
            util.Finalize(None, self.shutdown, (_EXIT_SECONDS,), exitpriority=1)

    def _overflow(self):
        self.departed().meter.relieve()

    def _awake(self):
        self._exporter = self._departure().exporter(self, self._environ, self._generation)
        return self._exporter

    def register(self):
        """Ask the process to tell us of its end, of SIGTERM and of forks."""
        import atexit

        atexit.register(self._leave)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before_fork, after_in_parent=self._go_on, after_in_child=self._after_fork)
        self._watch_sigterm()

    def _before_fork(self):
        try:
            exporter = None
            while exporter is not self._exporter:  # the one that makes the Exporter has just done so
                if exporter is not None:
                    self._go_on()
                exporter = self._exporter
                if exporter.hold(_FORK_SECONDS):
                    self._held[get_ident()] = exporter
        except Exception as problem:
            self.error(problem, "fork")

    def _go_on(self):
        held = self._held.pop(get_ident(), None)
        if held is not None:
            held.release()

    def _after_fork(self):
        self._pid = os.getpid()
        try:
            ids.reseed()
            self._held = {}
            self._generation += 1
            self._since = time_ns()
            self._exporter.abandon()
            self._renew()
        except Exception as problem:
            self.error(problem, "fork")

    def _watch_sigterm(self):
        import signal

        try:
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, self._on_sigterm)
        except ValueError:  # not the main thread: signals are not ours to handle
            log.debug("grpc was imported outside the main thread: no flush on SIGTERM")

    def _on_sigterm(self, signum, _frame):
        import signal

        # PID 1 outlives a signal that is not handled
        if signal.getsignal(signum) == self._on_sigterm and os.getpid() != 1:
            self._end_calls()
        self.flush(_EXIT_SECONDS)
        # an application that chained to us has its own idea of what follows
        if signal.getsignal(signum) == self._on_sigterm:
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)

    def flush(self, timeout=1.0):
        """Send what waits, in at most *timeout* seconds. Return whether all was tried in time."""
        try:
            return self._exporter.flush(timeout)
        except Exception as problem:
            self.error(problem, "flush")
            return False

    def _end_calls(self):
        try:
            if self.enabled and __package__ + ".metadata" in sys.modules:  # else there was no channel and no server
                self._leaving().end_calls(self, self._since)
        except Exception as problem:
            self.error(problem, "leaving")

    def _leave(self):
        self._end_calls()
        self.shutdown(_EXIT_SECONDS)

    def shutdown(self, timeout=1.0):
        """Flush and stop, in at most *timeout* seconds. Idempotent; later calls are counted as dropped once the queue is full."""
        try:
            token = context.suppressed.set(True)
            try:
                self._exporter.flush(timeout, stop=True)
                self._exporter.close()
            finally:
                context.suppressed.reset(token)
        except Exception as problem:
            self.error(problem, "shutdown")
