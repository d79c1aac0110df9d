"""The few lines that we may write to the application's stderr: never a traceback, never an exception, never the same warning twice.

`warn` is for what the user has to change and is written once per text. `info` and `debug` are written only when asked for by `GRPCTRACING_LOG` or
`OTEL_LOG_LEVEL`. Not `logging`: the application owns its configuration, and a record of ours would show up in its handlers.
"""

import os
import sys
import time

from . import status

_LEVELS = {"debug": 2, "info": 1}
_MAX_WARNINGS = 64  # a flood of different texts is a bug of ours, not the user's problem

_KINDS = ("SPAN", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS = ("UNSET", "OK", "ERROR")

_level = 0
_said = set()


def configure(environ):
    """Read the level from *environ*: `GRPCTRACING_LOG`, else `OTEL_LOG_LEVEL`; anything but info and debug means warnings only."""
    global _level
    name = environ.get("GRPCTRACING_LOG") or environ.get("OTEL_LOG_LEVEL") or ""
    _level = _LEVELS.get(name.strip().lower(), 0)


def warn(text):
    """Write *text* once."""
    if text not in _said and len(_said) < _MAX_WARNINGS:
        _said.add(text)
        write("grpctracing: " + text)


def info(text):
    """Write *text* if the user asked for info or more."""
    if _level >= 1:
        write("grpctracing: " + text)


def debug(text):
    """Write *text* if the user asked for debug."""
    if _level >= 2:  # noqa: PLR2004 - the level's number
        write("grpctracing: " + text)


def span_line(item):
    """Return one readable line for a finished call or manual span (`OTEL_TRACES_EXPORTER=console`)."""
    start = time.strftime("%H:%M:%S", time.localtime(item.start_ns // 1000000000)) + ".%03d" % (
        item.start_ns // 1000000 % 1000
    )
    ids = "trace=%032x span=%016x parent=%016x" % (item.context.trace_id, item.context.span_id, item.parent_id)
    took = (item.end_ns - item.start_ns) / 1e6
    if not hasattr(item, "method"):
        return "%s %-8s %s %s %.1fms %s" % (start, _KINDS[item.kind], item.name, _STATUS[item.status_code], took, ids)
    sizes = ""
    if item.counts:
        sizes = " sent=%d/%dB received=%d/%dB" % (item.sent, item.bytes_sent, item.received, item.bytes_received)
    details = " %r" % item.details if item.details else ""
    return "%s %-8s %s %s%s %.1fms%s %s" % (
        start,
        _KINDS[item.kind],
        item.method.lstrip("/"),
        status.name(item.code),
        details,
        took,
        sizes,
        ids,
    )


def write(line):
    """Write one line to stderr as it is now (it may be None, closed, or replaced by the application)."""
    try:
        stream = sys.stderr
        if stream is not None and stream is sys.__stderr__:
            # past its buffer: what can't be written would stay there, and Python then exits with status 120
            os.write(stream.fileno(), (line + "\n").encode("utf-8", "backslashreplace"))
        elif stream is not None:
            stream.write(line + "\n")
            stream.flush()
    except Exception:  # noqa: S110 - a stream that can't be written to leaves no place to say so
        pass
