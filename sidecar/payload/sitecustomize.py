"""GrpcTracing's stub: Python loads it by itself when this directory is on PYTHONPATH.

It must do no harm anywhere, so it parses on Python 2.7, starts nothing below 3.8, and lets no fault of ours out. It takes
its directory off sys.path (the application's own imports must not see it), runs the sitecustomize module that the
application would have had without us, and waits for `import grpc`: the rest of us is not even read before.
"""

import os
import sys


class _Waiting(object):
    """Stands on sys.meta_path until grpc is looked for, then makes room for `_grpctracing.hook`. Finds nothing itself."""

    def find_spec(self, name, path=None, target=None):
        if name != "grpc":
            return None
        watcher = _guarded(self._make_room)
        return watcher and watcher.find_spec(name, path, target)

    def _make_room(self):
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        return _start()


def _begin():
    global _here
    _here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry.rstrip(os.sep) != _here]
    if sys.version_info[:2] >= (3, 8):
        if "grpc" in sys.modules:
            _start()
        else:
            sys.meta_path.insert(0, _Waiting())


def _start():
    """Load `_grpctracing`; return the finder that waits for grpc."""
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import SourceFileLoader, spec_from_file_location

    path = os.path.join(_here, "_grpctracing.__init__.py")  # flat, as a ConfigMap is mounted
    if not os.path.exists(path):
        path = os.path.join(_here, "_grpctracing", "__init__.py")  # a checkout
    loader = SourceFileLoader("_grpctracing", path)
    spec = spec_from_file_location("_grpctracing", path, loader=loader, submodule_search_locations=[])
    package = sys.modules["_grpctracing"] = module_from_spec(spec)
    loader.exec_module(package)
    return package.start(_here)


def _guarded(step):
    """Return what *step* gives, None if it fails."""
    try:
        return step()
    except KeyboardInterrupt:  # meant for the application
        raise
    except BaseException as error:  # not even SystemExit: it would end the interpreter
        try:
            sys.stderr.write("grpctracing: off, %s while starting: %s\n" % (type(error).__name__, error))
        except BaseException:
            pass


def _next():
    """Import the sitecustomize that comes after ours on sys.path, if there is one."""
    if sys.version_info[0] == 2:
        import imp

        try:
            imp.find_module("sitecustomize")[0].close()
        except (ImportError, AttributeError):
            return
    elif not any(finder.find_spec("sitecustomize", None) for finder in sys.meta_path if hasattr(finder, "find_spec")):
        return
    # Python takes what is in sys.modules afterwards for the module; ours must stay referenced until then.
    _next.ours = sys.modules.pop("sitecustomize")
    import sitecustomize  # noqa: F401 - what it raises is the application's, as without us


_guarded(_begin)
if __name__ == "sitecustomize":
    _next()
