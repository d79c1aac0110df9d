"""The path behind the hooks: grpc's public interface alone. For a grpcio whose internals do not fit, or where GRPCTRACING_HOOKS=public asks for it.

What grpc's public functions make, a channel or a server, is given a class of its own kind with some of its public methods replaced, and so are the
multi-callables of a channel. All else about them stays grpc's: attributes, `isinstance`, names, what holds what, and when it is collected. The call objects
and contexts that the application gets are the very ones that it would get. What it could notice nevertheless: docs/compatibility.md.
"""

from functools import wraps
from time import monotonic

from . import later, status
from .call import unseen
from .selfcheck import parameters

METHODS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
CALL = ("self", "request", "timeout", "metadata", "credentials", "wait_for_ready", "compression")
MAKE = ("method", "request_serializer", "response_deserializer")


class Arguments:
    """The arguments of a call to a function with the parameters *names*, to be read and replaced by name."""

    def __init__(self, names, args, kwargs):
        self._names = names
        self.args = list(args)
        self.kwargs = dict(kwargs)

    def _place(self, name):
        at = self._names.index(name) if name in self._names else len(self.args)
        return (self.args, at) if at < len(self.args) else (self.kwargs, name)

    def __getitem__(self, name):
        held, at = self._place(name)
        return held[at] if held is self.args else held.get(at)

    def __setitem__(self, name, value):
        held, at = self._place(name)
        held[at] = value

    def of(self, function):
        """Return what *function* gives for them."""
        try:
            return function(*self.args, **self.kwargs)
        except BaseException as error:
            unseen(error)
            raise


class Kinds:
    """Classes of grpc's, each with our own of its kind. *hooks*: {method: function that makes the replacement of the original, None where there is none}."""

    def __init__(self, **hooks):
        self._hooks = hooks
        self._known = {}

    def adopt(self, thing, note):
        """Give *thing* the class of ours, and *note* to find there."""
        kind = type(thing)
        ours = self._known.get(kind)
        if ours is None:
            body = {name: hook(getattr(kind, name, None)) for name, hook in self._hooks.items()}
            body.update((name, getattr(kind, name)) for name in ("__doc__", "__module__", "__qualname__"))
            ours = self._known[kind] = type(kind)(kind.__name__, (kind,), {"__slots__": (), **body})
        thing._grpctracing = note
        thing.__class__ = ours


def making(side, original):
    """Return what stands in for *original*, which makes things for *side*: a public function, or the constructor of a class.

    `side.prepare(arguments)` may replace arguments, and returns what `side.adopt(thing, …)` is told. A fault of theirs leaves the thing as grpc made it.
    """
    names = parameters(original)

    def guarded(step, *args):
        try:
            return step(*args)
        except Exception as problem:
            side.calls.pipeline.error(problem, "public")
            return None

    @wraps(original)
    def make(*args, **kwargs):
        given = Arguments(names, args, kwargs)
        told = guarded(side.prepare, given)
        try:
            made = given.of(original)
        except BaseException as error:
            unseen(error)
            raise
        if told is not None:
            guarded(side.adopt, args[0] if made is None else made, told)
        return made

    return make


class Servers:
    """The side of a server, sync or asyncio, see `making`. *make()* gives an interceptor of ours; *stopping* is the hook for `stop`, which calls `stops`."""

    def __init__(self, calls, make, stopping):
        self.calls = calls
        self._make = make
        self._kinds = Kinds(stop=stopping)
        self._first = later("server_aio")

    def prepare(self, given):
        """Put an interceptor of ours before those that are there; return it."""
        ours = self._make()
        given["interceptors"] = self._first().Ours(ours, given["interceptors"])
        return ours

    def adopt(self, server, ours):
        """Be told when *server* is stopped."""
        self._kinds.adopt(server, ours)


def stops(ours, grace):
    """Take note that the server of *ours*, an interceptor, cancels what is left in *grace* seconds (None: at once)."""
    try:
        at = monotonic() + (grace or 0.0) - status.CLOCKS_DIFFER
    except TypeError:  # grpc says so
        return
    ours.stop_at = at if ours.stop_at is None else min(at, ours.stop_at)
