"""asyncio client calls by the public interface: the multi-callables of a channel that `grpc.aio.insecure_channel` or `secure_channel` made.

For the kinds of calls that the application has interceptors for, our own interceptor is the last of them, and the multi-callable only counts messages: what
an interceptor answers by itself is no call, and what it tries again is another.
"""

from collections.abc import Collection
from contextvars import ContextVar
from functools import partial, wraps
from operator import attrgetter

from . import status
from .call import counting, unseen
from .client_aio import BROKEN_WRITE
from .metadata import Outgoing, answered
from .public import CALL, METHODS, Arguments, Kinds, making
from .public_client_sync import factory
from .selfcheck import parameters
from .targets import text

_wire = ContextVar("grpctracing-wire")  # the Wire of the call that interceptors run for


class Wire:
    """Counts the messages of an intercepted call into the *record* of what goes on the wire for it now: the last attempt."""

    __slots__ = ("method", "record")

    def __init__(self, method):
        self.method = method
        self.record = None

    def counting(self, serializer, deserializer):
        """Return the two, counting."""

        def counted(which, function):
            def count(value):
                record = self.record
                try:
                    if record is not None and record.counts:
                        return counting(record, serializer, deserializer)[which](value)
                    return value if function is None else function(value)
                except BaseException as error:
                    unseen(error)
                    raise

            return count

        return counted(0, serializer), counted(1, deserializer)


class Details:
    """The application's ClientCallDetails, with other *metadata*."""

    def __init__(self, details, metadata):
        self._details = details
        self.metadata = metadata

    def __getattr__(self, name):
        return getattr(self._details, name)


class Client:
    """The asyncio client's side, see `public.making`; *aio* is `grpc.aio`."""

    def __init__(self, calls, aio):
        self.calls = calls
        self._outgoing = Outgoing(calls)
        self._ours = dict(map(self._interceptor, METHODS, [aio] * len(METHODS)))
        self._seen = Kinds(__call__=self._see)  # multi-callables without interceptors of the application
        self._counted = Kinds(__call__=self._count)
        self._channels = {}

    def _interceptor(self, method, aio):
        """Return grpc's class of interceptors for the kind of calls *method*, and one of ours of that kind."""
        base = getattr(aio, "".join(map(str.capitalize, method.split("_"))) + "ClientInterceptor")

        async def intercept(_this, continuation, client_call_details, request):
            return await self._intercept(continuation, client_call_details, request)

        return base, type("GrpcTracing", (base,), {"intercept_" + method: intercept})()

    def prepare(self, given):
        """Put our interceptors behind the application's, for the kinds of calls that it has some for; return the target, and whether each kind has."""
        theirs = given["interceptors"]
        if theirs is None:
            return text(given["target"]), (False,) * len(METHODS)
        given["interceptors"] = theirs = list(theirs)
        kinds = {next((base for base in self._ours if isinstance(one, base)), None) for one in theirs}
        theirs.extend(ours for base, ours in self._ours.items() if base in kinds)
        return text(given["target"]), tuple(base in kinds for base in self._ours)

    def adopt(self, channel, told):
        """See the calls of *channel* from now on."""
        target, intercepted = told
        kinds = self._channels.get(intercepted)
        if kinds is None:
            which = dict(zip(METHODS, intercepted))  # noqa: B905 - not before 3.10
            hooks = {name: partial(factory, self.calls, self._counted if which[name] else self._seen) for name in which}
            kinds = self._channels[intercepted] = Kinds(**hooks)
        kinds.adopt(channel, target)

    def _see(self, original):
        calls = self.calls
        most = len(parameters(original)) or len(CALL)

        @wraps(original)
        def call(multi, *args, **kwargs):
            if calls.passes() or len(args) >= most:  # grpc has no place for so many
                return original(multi, *args, **kwargs)
            given, method = Arguments(CALL[1:], args, kwargs), multi._grpctracing
            mine = given["metadata"]
            record, metadata = self._outgoing.begin(method.path, mine, attrgetter("target"), method)
            if metadata is not None:
                given["metadata"] = _like(mine, metadata)
            if record is None:
                return given.of(partial(original, multi))
            try:
                result = given.of(method.counting(record))
            except BaseException as error:
                unseen(error)
                calls.failed(record, error)
                raise
            self._watch(result, record)
            return result

        return call

    def _count(self, original):
        calls = self.calls

        @wraps(original)
        def call(multi, *args, **kwargs):
            if calls.passes():
                return original(multi, *args, **kwargs)
            wire = Wire(multi._grpctracing)
            token = _wire.set(wire)  # interceptors run in a task that begins in there
            try:
                return wire.method.twin(wire.counting)(*args, **kwargs)
            except BaseException as error:
                unseen(error)
                raise
            finally:
                _wire.reset(token)

        return call

    async def _intercept(self, continuation, details, request):
        wire = _wire.get(None)
        if wire is None or self.calls.passes():
            return await continuation(details, request)
        record, metadata = self._outgoing.begin(details.method, details.metadata, attrgetter("target"), wire.method)
        changed = Details(details, metadata)
        if record is None:
            return await continuation(changed, request)
        wire.record = record
        try:
            call = await continuation(changed, request)
        except BaseException as error:
            unseen(error)
            self.calls.failed(record, error)
            raise
        self._watch(call, record)
        return call

    def _watch(self, call, record):
        try:
            call.add_done_callback(partial(self._ended, record))
        except Exception as problem:
            self.calls.pipeline.error(problem, "public")

    def _ended(self, record, call):
        try:
            names = self.calls.pipeline.settings.response_metadata
            if names:
                answered(record, names, _now(call.initial_metadata()))
                answered(record, names, _now(call.trailing_metadata()))
            code, details = _status(call)
            if details == BROKEN_WRITE:
                record.late = partial(_status, call)
            self.calls.end(record, code, details)
        except Exception as problem:
            self.calls.pipeline.error(problem, "public")


def _like(given, metadata):
    """Return the tuple *metadata* as something that grpc takes as it took *given*: it sorts tuples, and lists by now, by their keys."""
    if isinstance(given, (str, bytes)):  # which it refuses, but later than a tuple of letters
        return given
    if isinstance(given, list):
        return list(metadata)
    return metadata if given is None or isinstance(given, Collection) else iter(metadata)


def _status(call):
    try:
        code = status.number(_now(call.code()))
    except KeyError:  # none that grpc knows
        code = status.UNKNOWN
    return code, status.text(_now(call.details()))


def _now(asking):
    """Return what the coroutine *asking* gives, for a call that is done: there is nothing to wait for."""
    try:
        asking.send(None)
    except StopIteration as answer:
        return answer.value
    finally:
        asking.close()
    raise RuntimeError("a call that is done does not tell how")


def install(grpc, calls, patch):
    """Put the hooks into the public functions of *grpc*."""
    client = Client(calls, grpc.aio)
    for name in ("insecure_channel", "secure_channel"):
        patch(grpc.aio, name, partial(making, client))


def install_late(_, module, calls, patch):
    """Put them where those functions, one of which may be running, make channels: into `grpc.aio._channel`."""
    from grpc import aio

    patch(module.Channel, "__init__", partial(making, Client(calls, aio)))
