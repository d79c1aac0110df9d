"""Decides, once per process and when grpc is imported: instrument, or stand down for someone else who already does. Says so in at most one line."""

import os
import sys
from _thread import allocate_lock
from functools import wraps

from . import here, join, keep, later, log, pipeline, semconv
from .call import Calls

# Compiled when they are needed: that is most of what an `import grpc` would wait for.
_LATER = (
    "metadata",
    "targets",
    "selfcheck",
    "client_sync",
    "client_aio",
    "served",
    "server_sync",
    "server_aio",
    "public",
    "public_client_sync",
    "public_client_aio",
    "public_server_sync",
    "public_server_aio",
    "behavior",
    "bridge",
    "rules",
)
_LAST = (
    "leaving",
    "departure",
    "encode",
    "decode",
    "resource",
    "metrics",
    "exporter",
    "lane",
    "transport_grpc",
    "transport_http",
)
# Versions of grpcio whose internals are known. Those of others are probed as soon as grpc is there.
_SEEN = (1, 48), (1, 85)
# What a user may leave out; where grpc is hooked for it; our module for that, and the one behind it, which needs grpc's public interface alone.
_SIDES = (
    ("grpc_client", ("grpc._channel",), "client_sync", "public_client_sync"),
    ("grpc_server", ("grpc._server",), "server_sync", "public_server_sync"),
    ("grpc_aio_client", ("grpc.aio._call", "grpc.aio._channel"), "client_aio", "public_client_aio"),
    ("grpc_aio_server", ("grpc.aio._server",), "server_aio", "public_server_aio"),
)
# Modules whose import means that someone else is hooking grpc now.
_OTHERS = {
    "ddtrace.contrib.internal.grpc.patch": "ddtrace",
    "ddtrace.contrib.grpc.patch": "ddtrace",
    "newrelic.hooks.framework_grpc": "New Relic",
}
_CONTRIB = "opentelemetry.instrumentation.grpc"
_CONTRIB_CLASSES = (
    "GrpcInstrumentorClient",
    "GrpcInstrumentorServer",
    "GrpcAioInstrumentorClient",
    "GrpcAioInstrumentorServer",
)
_SWITCHED_ON = "_is_instrumented_by_opentelemetry"


class Patches:
    """What was replaced, so that it can be put back."""

    def __init__(self):
        self._originals = []
        self.withdrawn = False

    def __call__(self, owner, name, hook):
        """Replace the attribute *name* of *owner* by *hook(original)*."""
        original = owner.__dict__[name]
        replacement = hook(original)
        self._originals.append((owner, name, original, replacement))
        setattr(owner, name, replacement)

    def __len__(self):
        return len(self._originals)

    def undo(self, since=0):
        """Put the originals back where nobody else has come in between, but for the *since* that were replaced first."""
        while len(self._originals) > since:
            owner, name, original, replacement = self._originals.pop()
            if owner.__dict__.get(name) is replacement:
                setattr(owner, name, original)

    def withdraw(self):
        """Put all originals back; where somebody else has come in between our hooks stay, and let every call pass."""
        self.withdrawn = True
        self.undo()


class Side:
    """Sync or asyncio, client or server, see _SIDES."""

    def __init__(self, name, hooked, inside, public):
        self.name = name
        self.hooked = hooked
        self.inside = later(inside)
        self.public = later(public)
        self.made = {"grpc_aio_client": "Channel", "grpc_aio_server": "Server"}.get(name)


class Activation:
    """The hooks of this process: put in as the modules that they are for get loaded, and taken out again as soon as someone else puts in theirs."""

    def __init__(self, grpc, created, watcher):
        self._grpc = grpc
        # Sentry's, ddtrace's and others' would see our exports, and tell them as calls of the application's.
        sys.modules[__package__].channels = grpc.insecure_channel, grpc.secure_channel
        self._watcher = watcher
        self._patches = Patches()
        self._join = join.Join(created, later("bridge"))
        self._calls = Calls(created, self._join)

    def begin(self):
        """Put the hooks into what is loaded; wait for the rest."""
        config = self._calls.pipeline.config
        for side in (Side(*about) for about in _SIDES):
            if side.name in config.uninstrumented or (side.made and not hasattr(self._grpc, "aio")):
                continue
            if config.hooks == "public":
                self._behind(side, "GRPCTRACING_HOOKS")
                continue
            try:
                (self._wait if _seen(self._grpc.__version__) else self._probe)(side)
            except Exception as error:  # it has no such module
                self._behind(side, _what(error))
        watch = self._watcher.watch
        watch("opentelemetry.trace", self._meet)
        for name, who in _OTHERS.items():
            watch(name, lambda _, who=who: self._stand_down(who))
        watch("opentelemetry.instrumentation.instrumentor", lambda module: _announce(module, self._stand_down))

    def _wait(self, side):
        """Put the hooks of *side* in when it is first used."""
        if side.made:
            self._when_made(side, *map(sys.modules.__getitem__, side.hooked))
        else:
            (hooked,) = side.hooked
            self._watcher.watch(hooked, lambda module: self._hook(side, module, patch=self._patches))

    def _probe(self, side):
        """Put the hooks of *side* in now, while what grpc's public functions make can still be had from those."""
        for name in side.hooked:
            __import__(name)
        problem = self._inside(side, *map(sys.modules.__getitem__, side.hooked), patch=self._patches)
        if problem:
            self._behind(side, problem)

    def _when_made(self, side, *modules):
        """Put hooks in when the first object of the side's class is made: `import grpc` loads asyncio's classes for everybody, and few use them."""
        owner = getattr(modules[-1], side.made)
        lock = allocate_lock()
        hooked = None

        def waiting(original):
            def patch(target, name, hook):
                nonlocal hooked
                if target is owner and name == "__init__":
                    hooked = hook(original)
                else:
                    self._patches(target, name, hook)

            @wraps(original)
            def init(this, *args, **kwargs):
                nonlocal hooked
                with lock:
                    if hooked is None:
                        self._hook(side, *modules, patch=patch)
                        hooked = hooked or original
                return hooked(this, *args, **kwargs)

            return init

        self._patches(owner, "__init__", waiting)

    def _hook(self, side, *modules, patch):
        """Put the hooks of *side* into *modules*, which the application is about to use."""
        if not self._patches.withdrawn:
            problem = self._inside(side, *modules, patch=patch)
            if problem:
                self._behind(side, problem, *modules, patch=patch)

    def _inside(self, side, *modules, patch):
        """Put the hooks of *side* into grpc's *modules*; return "" or why not."""
        before = len(self._patches)
        try:
            problem = side.inside().install(*modules, self._calls, patch)
        except Exception as error:
            problem = _what(error)
        if problem:
            self._patches.undo(before)
        return problem

    def _behind(self, side, why, *modules, patch=None):
        """Have *side* traced through grpc's public interface: its functions, or, where one of those may be running, what they make, in *modules*."""
        before = len(self._patches)
        about = "%s of grpcio %s" % (" and ".join(side.hooked), self._grpc.__version__)
        try:
            if modules:
                side.public().install_late(*modules, self._calls, patch)
            else:
                side.public().install(self._grpc, self._calls, self._patches)
            log.info("tracing %s through its public interface: %s" % (about, why))
        except Exception as error:
            self._patches.undo(before)
            log.warn("not tracing %s: %s; %s" % (about, why, _what(error)))

    def _meet(self, trace):
        try:
            self._join.loaded(trace)
        except Exception as error:  # an API older than the parts that we need
            log.warn("not joining the application's opentelemetry-api: %s: %s" % (type(error).__name__, error))

    def _stand_down(self, who):
        if not self._patches.withdrawn:
            self._patches.withdraw()
            self._calls.withdraw()
            self._watcher.forget(*self._watcher.names())
            log.warn("standing down: %s instruments grpc in this process" % who)


def run(grpc, watcher):
    """Instrument *grpc*, unless someone else does."""
    who = _already()
    if who:
        log.warn("standing down: %s already instruments grpc in this process" % who)
        return
    keep(*_LATER, *_LAST)
    semconv.configure(os.environ)
    created = pipeline.create(os.environ, here)
    if created is not None and not created.config.disabled:
        Activation(grpc, created, watcher).begin()


def _seen(version):
    try:
        return _SEEN[0] <= tuple(map(int, version.split(".")[:2])) <= _SEEN[1]
    except ValueError:
        return False


def _what(error):
    return "%s: %s" % (type(error).__name__, error)


def _already():
    """Return who hooks grpc in this process, or "". Contrib's modules may be imported without being switched on."""
    for name, who in _OTHERS.items():
        if name in sys.modules:
            return who
    classes = (getattr(sys.modules.get(_CONTRIB), name, None) for name in _CONTRIB_CLASSES)
    active = any(getattr(getattr(owner, "_instance", None), _SWITCHED_ON, False) for owner in classes)
    return "opentelemetry-instrumentation-grpc" if active else ""


def _announce(module, stand_down):
    """Have *stand_down* called when one of contrib's instrumentors of grpc has been switched on.

    In their base class: their own module imports grpc, so it may be half-way through when grpc is there and we look.
    """
    original = module.BaseInstrumentor.instrument

    @wraps(original)
    def instrument(self, **options):
        result = original(self, **options)
        if getattr(self, _SWITCHED_ON, False) and any(owner.__module__ == _CONTRIB for owner in type(self).__mro__):
            stand_down("opentelemetry-instrumentation-grpc")
        return result

    module.BaseInstrumentor.instrument = instrument
