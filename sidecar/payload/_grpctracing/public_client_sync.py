"""Sync client calls by the public interface: the multi-callables of a channel that `grpc.insecure_channel` or `grpc.secure_channel` made.

Below all interceptors of the application, which wrap that channel. Each call runs on a multi-callable of its own, made by the channel's own method with
serializers that count. A call object tells its status to a callback, which does not hold it; one that is let go of tells it as it goes.
"""

from functools import partial, wraps
from operator import attrgetter
from weakref import ref

from . import status
from .call import counting, unseen
from .client_sync import refused
from .metadata import Outgoing, answered, told
from .public import CALL, MAKE, METHODS, Arguments, Kinds, making
from .targets import text

_COLLECTED = "Cancelled upon garbage collection!"  # what grpc says of it


class Method:
    """How a multi-callable was made: by the channel's method *make*, for *target*. Not as a registered one: to ask a closed channel for that is a crash."""

    __slots__ = ("_given", "_make", "path", "target")

    def __init__(self, make, args, kwargs, target):
        self._make = make
        self._given = args[: len(MAKE)], {name: kwargs[name] for name in kwargs if name != "_registered_method"}
        self.path = Arguments(MAKE, *self._given)["method"]
        self.target = target

    def twin(self, change=None):
        """Return another multi-callable, with the serializer and the deserializer that *change* makes of those that it was given."""
        given = Arguments(MAKE, *self._given)
        if change is not None:
            pair = change(given["request_serializer"], given["response_deserializer"])
            given["request_serializer"], given["response_deserializer"] = pair
        return given.of(self._make)

    def counting(self, record):
        """Return another multi-callable, for the one call that is *record*."""
        return self.twin(partial(counting, record) if record.counts else None)


def factory(calls, kinds, original):
    """Return the method of a channel that stands in for *original*, which makes multi-callables; *kinds* adopts them."""

    @wraps(original)
    def make(channel, *args, **kwargs):
        multi = original(channel, *args, **kwargs)
        try:
            kinds.adopt(multi, Method(partial(original, channel), args, kwargs, channel._grpctracing))
        except Exception as problem:
            calls.pipeline.error(problem, "public")
        return multi

    return make


class Client:
    """The sync client's side, see `public.making`."""

    def __init__(self, calls):
        self.calls = calls
        self._outgoing = Outgoing(calls)
        blocking = {name: partial(self._hook, name, self._returned) for name in ("__call__", "with_call")}
        responding = Kinds(future=partial(self._hook, "future", self._watch), **blocking)
        streaming = Kinds(__call__=partial(self._hook, "__call__", self._watch))
        self._channels = Kinds(
            **{name: partial(factory, calls, streaming if name.endswith("_stream") else responding) for name in METHODS}
        )
        self._objects = Kinds(__del__=self._letting_go)

    def prepare(self, given):
        """Return the target."""
        return text(given["target"])

    def adopt(self, channel, target):
        """See the calls of *channel* from now on."""
        self._channels.adopt(channel, target)

    def _hook(self, name, follow, original):
        calls = self.calls

        @wraps(original)
        def call(multi, *args, **kwargs):
            if calls.passes():
                return original(multi, *args, **kwargs)
            given, method = Arguments(CALL[1:], args, kwargs), multi._grpctracing
            mine = given["metadata"]
            record, carrying = self._outgoing.begin(method.path, mine, attrgetter("target"), method)
            if carrying is not None:
                given["metadata"] = carrying
            if record is None:
                return given.of(partial(original, multi))
            telling = name == "__call__" and follow == self._returned and calls.pipeline.settings.response_metadata
            try:
                twin = method.counting(record)
                result = given.of(twin.with_call if telling else getattr(twin, name))
            except BaseException as error:
                unseen(error)
                self._answered(record, error)
                calls.failed(record, error)
                wrong = refused(error, mine)
                if wrong is None:
                    raise
            else:
                follow(record, result)
                return result[0] if telling else result
            raise wrong

        return call

    def _answered(self, record, call):
        names = self.calls.pipeline.settings.response_metadata
        if names:
            told(record, names, call)

    def _returned(self, record, result):
        """End the call that blocked until its response was there."""
        if type(result) is tuple and result:
            self._answered(record, result[-1])
        self.calls.end(record, status.OK)

    # ---- calls that go on

    def _watch(self, record, call):
        """End *record* when grpc knows the status of *call*, or nobody wants to know it."""
        calls, there = self.calls, ref(call)

        def ended():
            found = there()
            if found is not None:  # else it has told already, see _letting_go
                self._tell(record, found)

        try:
            self._objects.adopt(call, record)
            if not call.add_callback(ended):
                ended()
        except Exception as problem:
            calls.pipeline.error(problem, "public")

    def _tell(self, record, call):
        """End *record* as *call* did. Initial metadata is left out: to ask for it may block."""
        names = self.calls.pipeline.settings.response_metadata
        if names:
            answered(record, names, call.trailing_metadata())
        self.calls.end(record, status.number(call.code()), status.text(call.details()))

    def _letting_go(self, original):
        """Stand in for the destructor of a call object, with which grpc cancels what still goes on."""

        def destructor(this):
            if original is not None:
                original(this)
            try:
                if this.is_active():
                    self.calls.end(this._grpctracing, status.CANCELLED, _COLLECTED)
                else:
                    self._tell(this._grpctracing, this)
            except Exception as problem:
                self.calls.pipeline.error(problem, "public")

        return destructor


def install(grpc, calls, patch):
    """Put the hooks into the public functions of *grpc*."""
    client = Client(calls)
    for name in ("insecure_channel", "secure_channel"):
        patch(grpc, name, partial(making, client))


def install_late(module, calls, patch):
    """Put them where those functions, one of which may be running, make channels: into `grpc._channel`."""
    patch(module.Channel, "__init__", partial(making, Client(calls)))
