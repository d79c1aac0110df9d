"""Stands in for the exporter until there is something to export.

What an export needs (encoding, transports, the exporter itself) is a third of the payload. It is compiled here, when a process has its first finished call,
in a thread that nobody waits for; a process that imports grpc and makes no call never pays for it.
"""

import sys

from . import log

_MAKE_SECONDS = 10.0  # 25 ms as a rule, more where the CPU is throttled


def primitives():
    """Return (start_new_thread, allocate_lock) of the operating system's threads, also where gevent or eventlet has replaced them."""
    if "gevent.monkey" in sys.modules:
        return tuple(sys.modules["gevent.monkey"].get_original("_thread", ["start_new_thread", "allocate_lock"]))
    import _thread

    if "eventlet.patcher" in sys.modules:
        _thread = sys.modules["eventlet.patcher"].original("_thread")
    return _thread.start_new_thread, _thread.allocate_lock


class Dormant:
    """Looks like an Exporter that has nothing to do; becomes one."""

    lanes = staticmethod(tuple)
    spans = metrics = None

    def __init__(self, make, busy, begun, error):
        """*make*() returns the Exporter, *busy*() tells whether something waits for it, *begun*() hears that, *error*(exception, where) counts."""
        self.asleep = True
        self.hurry = False
        self._make = make
        self._busy = busy
        self._begun = begun
        self._error = error
        self._exporter = None
        self._stopped = False
        self._start_thread, allocate_lock = primitives()
        self._lock = allocate_lock()

    def exporter(self, timeout=-1):
        """Return the Exporter, made at the first call, or None where *timeout* seconds are not enough for that."""
        if not self._lock.acquire(True, timeout):  # noqa: FBT003 - a lock's acquire takes no keywords before 3.13
            return None
        try:
            if self._exporter is None:
                self._exporter = self._make()
            return self._exporter
        finally:
            self._lock.release()

    def wake(self):
        """Have the Exporter made and woken. Called on the call's path, but only when `asleep` or `hurry` says so."""
        self.asleep = False
        if not self._stopped:
            try:
                self._start_thread(self._wake, ())
                self._begun()
            except (
                RuntimeError
            ) as problem:  # no thread to be had, or the interpreter is ending; a full batch tries again
                log.debug("no thread: %s" % problem)
                self.hurry = False

    def _wake(self):
        try:
            self.exporter().wake()
        except Exception as problem:
            self._error(problem, "exporter")
            self.asleep = True

    def flush(self, timeout, stop=False):  # noqa: FBT002 - as the Exporter's
        """Send all that waits, as the Exporter does."""
        if self._exporter is None and not self._busy():
            self._stopped = self._stopped or stop
            return True
        exporter = self.exporter(timeout)  # a signal handler may have interrupted the thread that makes it
        return exporter is not None and exporter.flush(timeout, stop)

    def hold(self, _timeout):
        """Keep the thread that makes the Exporter from working, before a fork. It ends by itself; in the child, a module half imported would be waited for for ever."""
        return self._lock.acquire(True, _MAKE_SECONDS)  # noqa: FBT003 - as above

    def release(self):
        """Let it work again."""
        self._lock.release()

    def close(self):
        """Close nothing."""

    def abandon(self):
        """Forget nothing."""
