"""The live part: settings.json beside the payload, which the kubelet refreshes in running pods.

The file overrides the environment, except for the sampler variables that the user set (`GRPCTRACING_PINNED`). A file that can't be read or understood
changes nothing: the last good state stays, and one line says what is wrong. A file that goes away changes nothing either: a ConfigMap that was
deleted by mistake must not switch sampling.
"""

import os

from . import later, log, sampling
from .call import KINDS

_MAX_CHARACTERS = 1 << 20  # what is cut off makes no JSON, so a larger file is malformed
_DEFAULT_EXCLUDED = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)
# By the last word of their names; the same as in the API (`grpctracing.api.instrumentation`).
CREDENTIALS = "(^|[-_.])(api-?key|auth|authorization|cert|cookie|credential|jwt|key|passwd|password|secret|session(.?id)?|signature|token)s?$"
_HARMLESS = ("idempotency-key", "x-idempotency-key")
_NEVER_NS = 1 << 62
_DEFAULT_SLOW_NS = 1_000_000_000
_SAMPLER, _ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_rules = later("rules")


class Settings:
    """One consistent state; replaced as a whole, never changed, so a call reads it without a lock."""

    __slots__ = (
        "call",
        "enabled",
        "excluded",
        "keep_errors",
        "metrics",
        "request_metadata",
        "response_metadata",
        "rules",
        "sampler",
        "slow_ns",
    )

    def __init__(self, sampler, config):
        self.enabled = True
        self.sampler = sampler
        self.rules = None
        self.keep_errors = True
        self.slow_ns = _DEFAULT_SLOW_NS
        self.call = KINDS["Sizes"]
        self.metrics = True
        self.excluded = config.excluded.union(_DEFAULT_EXCLUDED)
        self.request_metadata = ()
        self.response_metadata = ()


def _sampler(config, name, argument):
    """Return the Sampler for the file's *name* and *argument* (None: not given), each of them behind what the user pinned in the environment."""
    if name is None or _SAMPLER in config.pinned:
        name = config.sampler[0]
    if argument is None or _ARGUMENT in config.pinned:
        argument = config.sampler[1]
    return sampling.parse(name, argument)


def from_environment(config):
    """Return the Settings of the environment alone."""
    sampler, problem = _sampler(config, None, None)
    if problem:
        log.warn("OTEL_TRACES_SAMPLER: " + problem)
    return Settings(sampler, config)


def _member(data, key, kinds, default=None):
    value = data.get(key, default)
    # bool is an int in Python, but never a duration
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError("%s: %r is of the wrong type" % (key, value))
    return value


def _names(data, key, default):
    names = _member(data, key, (list, tuple), default)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("%s: %r has members that are no text" % (key, names))
    return names


def _keys(metadata, direction):
    """Yield the metadata keys to capture. The values of some are credentials, and those must not leave the process, whoever asks for it."""
    names = _names(metadata, direction, ())
    if names:
        import re

        for name in map(str.lower, names):
            if name not in _HARMLESS and re.search(CREDENTIALS, name):
                log.warn("settings.json: capturedMetadata.%s: %r carries credentials; left out" % (direction, name))
            else:
                yield name


def parse(text, config):
    """Return the Settings of the JSON *text*; raise ValueError with the reason when it is not what this version understands."""
    import json

    data = json.loads(text)
    if not isinstance(data, dict) or data.get("version") != 1:
        raise ValueError("version: not 1")
    sampler = _member(data, "sampler", (dict,), {})
    argument = _member(sampler, "argument", (str, int, float, type(None)))
    name = _member(sampler, "type", (str, type(None)))
    found, problem = _sampler(config, name, argument)
    if problem:
        raise ValueError(problem)
    state = Settings(found, config)
    entries = _member(data, "rules", (list,), [])
    if entries:
        state.rules = _rules().parse(entries, found, not config.pinned.isdisjoint({_SAMPLER, _ARGUMENT}))
    state.enabled = _member(data, "enabled", (bool,), default=True)
    keep = _member(data, "keep", (dict,), {})
    state.keep_errors = _member(keep, "errors", (bool,), default=True)
    slower = _member(keep, "slowerThan", (int, float, type(None)), _DEFAULT_SLOW_NS / 1e9)
    if slower is not None and not slower >= 0:  # so written, NaN is refused too
        raise ValueError("keep.slowerThan: %r is not a number of seconds" % slower)
    state.slow_ns = _NEVER_NS if slower is None else int(min(slower, _NEVER_NS / 1e9) * 1e9)
    messages = _member(data, "messages", (str,), "Sizes")
    if messages not in KINDS:
        raise ValueError("messages: %r is not Sizes, Events or Never" % messages)
    state.call = KINDS[messages]
    state.metrics = _member(data, "metrics", (bool,), default=True)
    state.excluded = config.excluded.union(_names(data, "excludedServices", _DEFAULT_EXCLUDED))
    metadata = _member(data, "capturedMetadata", (dict,), {})
    state.request_metadata = tuple(_keys(metadata, "request"))
    state.response_metadata = tuple(_keys(metadata, "response"))
    return state


class File:
    """settings.json at *path*: `changed()` gives the new Settings when there are any."""

    __slots__ = ("_config", "_path", "_seen")

    def __init__(self, path, config):
        self._path = path
        self._config = config
        self._seen = None

    def changed(self):
        """Return the file's Settings if it is new or other than at the last call and good, else None. One stat when nothing changed (2 µs)."""
        try:
            stat = os.stat(self._path)
            # the kubelet swaps a symlink, so a new version is another inode
            signature = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if signature == self._seen:
                return None
            self._seen = signature
            with open(self._path, encoding="utf-8") as file:
                return parse(file.read(_MAX_CHARACTERS), self._config)
        except FileNotFoundError:
            self._seen = None
        except (OSError, ValueError, RecursionError) as problem:
            log.warn("settings.json: %s; keeping what was in effect" % problem)
        return None
