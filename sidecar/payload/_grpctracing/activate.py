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
    "server_sync",
    "server_aio",
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
    "transport_grpc",
    "transport_http",
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

    def withdraw(self):
        """Put the originals back where nobody else has come in between; elsewhere our hooks stay, and let every call pass."""
        self.withdrawn = True
        for owner, name, original, replacement in reversed(self._originals):
            if owner.__dict__.get(name) is replacement:
                setattr(owner, name, original)
        self._originals.clear()


class Activation:
    """The hooks of this process: put in as the modules that they are for get loaded, and taken out again as soon as someone else puts in theirs."""

    def __init__(self, version, created, watcher):
        self._version = version
        self._watcher = watcher
        self._patches = Patches()
        self._join = join.Join(created, later("bridge"))
        self._calls = Calls(created, self._join)

    def begin(self):
        """Put the hooks into what is loaded; wait for the rest."""
        unwanted = self._calls.pipeline.config.uninstrumented
        if "grpc.aio" in sys.modules:
            call, channel, server = (sys.modules["grpc.aio." + name] for name in ("_call", "_channel", "_server"))
            if "grpc_aio_client" not in unwanted:
                self._when_made(channel.Channel, later("client_aio"), call, channel)
            if "grpc_aio_server" not in unwanted:
                self._when_made(server.Server, later("server_aio"), server)
        watch = self._watcher.watch
        for name, hooked, load in (
            ("grpc_client", "grpc._channel", later("client_sync")),
            ("grpc_server", "grpc._server", later("server_sync")),
        ):
            if name not in unwanted:
                watch(hooked, lambda module, load=load: self._hook(load, module, patch=self._patches))
        watch("opentelemetry.trace", self._meet)
        for name, who in _OTHERS.items():
            watch(name, lambda _, who=who: self._stand_down(who))
        watch("opentelemetry.instrumentation.instrumentor", lambda module: _announce(module, self._stand_down))

    def _when_made(self, owner, install, *modules):
        """Put hooks in when the first object of the class *owner* is made: `import grpc` loads asyncio's classes for everybody, and few use them."""
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
                        self._hook(install, *modules, patch=patch)
                        hooked = hooked or original
                return hooked(this, *args, **kwargs)

            return init

        self._patches(owner, "__init__", waiting)

    def _hook(self, load, *modules, patch):
        if not self._patches.withdrawn:
            try:
                problem = load().install(*modules, self._calls, patch)
            except Exception as error:
                problem = "%s: %s" % (type(error).__name__, error)
            if problem:
                where = " and ".join(module.__name__ for module in modules)
                log.warn("not tracing %s of grpcio %s: %s" % (where, self._version, problem))

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
        Activation(grpc.__version__, created, watcher).begin()


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
