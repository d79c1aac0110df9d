"""Who is speaking: the resource attributes of this process.

Per key, the first of these that has it wins: `OTEL_SERVICE_NAME` (for service.name), `OTEL_RESOURCE_ATTRIBUTES` (the user's), then
`GRPCTRACING_RESOURCE_ATTRIBUTES` (the operator's, where the user has the former), then what is known here.
"""

import os
import sys

from . import __version__, config, ids


def attributes(environ, generation=0):
    """Return the resource as a dict. *generation* > 0: in the nth descendant by fork, which is an instance of its own.

    A forked worker has its parent's environment, so a service.instance.id that is taken from it gets the worker's pid: metrics of two
    processes under one identity would overwrite each other.
    """
    found = config.pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES"), "OTEL_RESOURCE_ATTRIBUTES")
    for key, value in config.pairs(
        environ.get("GRPCTRACING_RESOURCE_ATTRIBUTES"), "GRPCTRACING_RESOURCE_ATTRIBUTES"
    ).items():
        found.setdefault(key, value)
    name = environ.get("OTEL_SERVICE_NAME", "").strip()
    if name:
        found["service.name"] = name
    if not found.get("service.name"):
        found["service.name"] = "unknown_service:" + (os.path.basename(sys.executable or "") or "python")
    if not found.get("service.instance.id"):
        found["service.instance.id"] = _uuid()
    elif generation:
        found["service.instance.id"] += ".%d" % os.getpid()
    known = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "grpctracing",
        "telemetry.sdk.version": __version__,
        "process.pid": os.getpid(),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": "%d.%d.%d" % sys.version_info[:3],
    }
    for key, value in known.items():
        found.setdefault(key, value)
    return found


def _uuid():
    """Return a random UUID, version 4 (RFC 9562, 5.4), without importing uuid."""
    text = "%032x" % (ids.bits(128) & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
