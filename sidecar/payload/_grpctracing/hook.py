"""Waits for imports of the application, `grpc` above all, without being in their way.

One finder, first on sys.meta_path while there is something to wait for. It lets the other finders do the work, and the
loader that they found report the single moment of execution: before the module's own code runs, it is as it was, so no
module can tell that it was waited for.
"""

import sys
from _thread import get_ident


class Watcher:
    """A finder that finds nothing by itself; `watch` says what to wait for."""

    def __init__(self):
        self._waiting = {}
        self._busy = set()

    def watch(self, name, loaded):
        """Call *loaded(module)* once module *name* has been executed; at once if it is there already."""
        module = sys.modules.get(name)
        if module is not None:
            loaded(module)
            return
        self._waiting[name] = loaded
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def forget(self, *names):
        """Wait no longer for *names*, nor at all when nothing is left."""
        for name in names:
            self._waiting.pop(name, None)
        if not self._waiting and self in sys.meta_path:
            sys.meta_path.remove(self)

    def names(self):
        """Return what is waited for."""
        return tuple(self._waiting)

    def find_spec(self, name, path=None, target=None):
        """Return the spec that the other finders give, with a loader that reports; None for every module that nobody waits for."""
        if name not in self._waiting:
            return None
        # Others who wait for imports (ddtrace, wrapt) ask sys.meta_path again, and so us: then it is their turn.
        turn = (get_ident(), name)
        if turn in self._busy:
            return None
        self._busy.add(turn)
        try:
            for finder in tuple(sys.meta_path):
                if finder is self:
                    continue
                find = getattr(finder, "find_spec", None)
                if find is None:
                    if _finds(finder, name, path):
                        return None  # what it finds can't be watched
                    continue
                spec = find(name, path, target)
                if spec is not None:
                    break
            else:
                return None
        finally:
            self._busy.discard(turn)
        loader = spec.loader
        if hasattr(loader, "exec_module"):
            own = getattr(loader, "__dict__", None)
            if own is not None and "exec_module" not in own and getattr(loader, "name", None) == name:
                _report(loader, self, name)
            else:
                spec.loader = _Reporting(loader, self)
        return spec

    def executed(self, module, name):
        """Tell whoever waits for *module*. Whatever goes wrong then stays here."""
        loaded = self._waiting.get(name)
        try:
            self.forget(name)
            if loaded is not None:
                loaded(module)
        except BaseException as error:
            _say(name, error)


def _finds(finder, name, path):
    """Return whether *finder*, of the kind that Python 3.12 has no more, finds the module."""
    find = getattr(finder, "find_module", None) if sys.version_info < (3, 12) else None
    return find is not None and find(name, path) is not None


def _report(loader, watcher, name):
    """Have *loader*, which is of module *name* alone, report its execution. An attribute of its own hides its class's method until then."""

    def exec_module(module):
        vars(loader).pop("exec_module", None)
        try:
            loader.exec_module(module)
        except BaseException as error:
            _unseen(error)
            raise
        watcher.executed(sys.modules.get(name, module), name)

    loader.exec_module = exec_module


class _Reporting:
    """Stands in for a loader of many modules (of a zip file), or one that somebody else has changed like that (ddtrace), until the code of the one that is waited for starts to run."""

    def __init__(self, loader, watcher):
        self._loader = loader
        self._watcher = watcher

    def create_module(self, spec):
        create = getattr(self._loader, "create_module", None)
        return create(spec) if create is not None else None

    def exec_module(self, module):
        spec = module.__spec__
        if spec.loader is self:
            spec.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        try:
            self._loader.exec_module(module)
        except BaseException as error:
            _unseen(error)
            raise
        self._watcher.executed(sys.modules.get(spec.name, module), spec.name)

    def __getattr__(self, name):
        return getattr(self._loader, name)


def _unseen(error):
    """Take our frame off the traceback of *error*: it looks as without us, from Python 3.11 on."""
    error.__traceback__ = error.__traceback__.tb_next


def _say(name, error):
    """Write the one line that tells why nothing is traced."""
    try:  # noqa: SIM105 - contextlib costs 3 ms
        sys.stderr.write("grpctracing: off, %s while hooking %s: %s\n" % (type(error).__name__, name, error))
    except Exception:  # noqa: S110 - stderr may be closed or None; there is no other place to say so
        pass


watcher = Watcher()


def install():
    """Start to wait for grpc; return the watcher."""
    watcher.watch("grpc", _activate)
    return watcher


def _activate(module):
    from . import Finder

    with Finder():
        from . import activate
    activate.run(module, watcher)
