"""GrpcTracing inside an application's process. This file finds the other modules; the application's import system never does.

Map, in the order of one call's way:
    hook         waits for `import grpc`; nothing else is loaded before
    activate     decides: instrument, join, stand down; says why, once
    selfcheck    does this grpcio look as the hooks expect?
    client_sync, client_aio, server_sync, server_aio    where calls are seen; targets: which channel leads where
    served, behavior    a call while it is served: sync, asyncio
    public, public_client_sync, public_…    the same where it does not, through grpc's public interface alone
    call         the record of one call; metadata: what it carries and captures; status, semconv: how it is told
    join         the application's own OpenTelemetry API (bridge) or SDK
    context, propagation, sampling, rules, ids, config, settings, resource    what the pipeline starts a call with
    pipeline, buffer    decides what is kept, and holds it; dormant: until there is something to export
    departure, exporter, lane, encode, decode, metrics, transport_grpc, transport_http, log    how it leaves the process
    leaving      calls that the end of the process cuts off
    probe        what is in an image: run by the preflight pod, never by an application
"""

import os
import sys
from _frozen_importlib_external import SourceFileLoader, spec_from_file_location

__version__ = "0.1.0"

here = ""
channels = None  # grpc's own functions that make channels, as they are before anybody wraps them, see activate


_kept = {}


class Finder:
    """Finds `_grpctracing.NAME`, in a checkout (a folder) or in a mounted ConfigMap (flat files). On sys.meta_path only while we import."""

    def find_spec(self, name, _path=None, _target=None):
        """Return the spec of one of our own modules, None for all others."""
        package, _, module = name.rpartition(".")
        if package != __name__ or not here:
            return None
        if name in _kept:
            return spec_from_file_location(name, _kept[name][0], loader=Keeper(*_kept[name]))
        file = os.path.join(here, name + ".py")
        if not os.path.exists(file):
            file = os.path.join(here, package, module + ".py")
        return spec_from_file_location(name, file, loader=SourceFileLoader(name, file))

    def __enter__(self):
        sys.meta_path.insert(0, self)

    def __exit__(self, *_):
        sys.meta_path.remove(self)


class Keeper:
    """Loads a module from the source that was read of it."""

    def __init__(self, file, source):
        self._file = file
        self._source = source

    def create_module(self, _spec):
        """Have the import system make the module."""

    def exec_module(self, module):
        """Compile and run."""
        exec(compile(self._source, self._file, "exec", dont_inherit=True), vars(module))  # noqa: S102 - what an import does

    def get_source(self, _name):
        """Return the source, for tracebacks."""
        return self._source.decode()


def keep(*modules):
    """Read the sources of our *modules* now, so that all are of one version, also those that are compiled when they are first needed."""
    for module in modules:
        name = __name__ + "." + module
        spec = Finder().find_spec(name)
        _kept[name] = (spec.origin, spec.loader.get_data(spec.origin))


def later(module):
    """Return a function that gives our *module*, which is imported when that is first called."""
    name = __name__ + "." + module

    def load():
        with Finder():
            __import__(name)
        return sys.modules[name]

    return load


def start(directory):
    """Wait for `import grpc`, with the payload in *directory*; return the finder that waits. Called by the stub, once."""
    global here
    here = directory
    with Finder():
        from . import hook
    return hook.install()
