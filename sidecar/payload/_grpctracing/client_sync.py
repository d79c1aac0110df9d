"""Sync client calls, seen where they start: `__call__`, `with_call` and `future` of the multi-callables in `grpc._channel` (probed: 1.48 to 1.85).

Below all interceptors of the application, so each attempt of a retrying interceptor is a call. grpc's own method runs, on a twin of the multi-callable
whose serializers count; the call objects are grpc's own. A twin serves one call at a time: where grpc is done with it when the call returns, it
serves again, else it is let go of. The ending comes from the returned value or exception where the call blocks, else from a
callback on grpc's call state, which holds no reference to the call object: an abandoned one must still be collected, and thereby cancelled.
"""

from functools import wraps
from operator import attrgetter
from weakref import ref

from . import selfcheck, status
from .call import Counting, unseen
from .metadata import Outgoing, answered, told
from .targets import Targets

_ARGUMENTS = ("timeout", "metadata", "credentials", "wait_for_ready", "compression")
_UNARY = ("self", "request", *_ARGUMENTS)
_STREAM = ("self", "request_iterator", *_ARGUMENTS)
BLOCKING = {
    "_UnaryUnaryMultiCallable.__call__": _UNARY,
    "_UnaryUnaryMultiCallable.with_call": _UNARY,
    "_StreamUnaryMultiCallable.__call__": _STREAM,
    "_StreamUnaryMultiCallable.with_call": _STREAM,
}
ONGOING = {
    "_UnaryUnaryMultiCallable.future": _UNARY,
    "_UnaryStreamMultiCallable.__call__": _UNARY,
    "_SingleThreadedUnaryStreamMultiCallable.__call__": _UNARY,
    "_StreamUnaryMultiCallable.future": _STREAM,
    "_StreamStreamMultiCallable.__call__": _STREAM,
}
EXPECTED = {"_SingleThreadedRendezvous": None, "_Rendezvous.add_callback": ("self", "callback"), **BLOCKING, **ONGOING}
_MULTI = ("_method", "_request_serializer", "_response_deserializer")
ATTRIBUTES = {
    "_UnaryUnaryMultiCallable": _MULTI,
    "_UnaryStreamMultiCallable": _MULTI,
    "_SingleThreadedUnaryStreamMultiCallable": _MULTI,
    "_StreamUnaryMultiCallable": _MULTI,
    "_StreamStreamMultiCallable": _MULTI,
    "_Rendezvous": ("_state",),
    "_RPCState": ("code", "details", "initial_metadata", "trailing_metadata"),
}
_INVALID = "metadata was invalid: %s"  # as grpc has it: a tuple of two pairs is one argument too many, and a TypeError
_UNFORMATTED = "not all arguments converted during string formatting"
_METADATA = 2  # the position of that argument, self not counted


class Client:
    """What the hooks of the four kinds share."""

    def __init__(self, module, calls, target):
        self._calls = calls
        self._target = target
        self._outgoing = Outgoing(calls)
        self._single_threaded = module._SingleThreadedRendezvous
        self._abandonable = set()

    def hook(self, original, follow, with_call, again):  # noqa: C901 - as `call`
        """Return the method that stands in for *original* of a multi-callable class; *follow(record, result)* takes over when it has returned.

        *with_call*: grpc's method that gives (response, call) where *original* gives the response alone. *again*: whether twins serve again.
        """
        calls = self._calls

        @wraps(original)
        def call(this, *args, **kwargs):  # noqa: C901, PLR0912 - each function more costs a running client half a µs
            if calls.passes():
                return original(this, *args, **kwargs)
            at = len(args) > _METADATA
            mine = args[_METADATA] if at else kwargs.get("metadata")
            record, given = self._outgoing.begin(this._method, mine, self._target, this)
            if at:
                args = (*args[:_METADATA], given, *args[_METADATA + 1 :])
            elif given is not None:
                kwargs["metadata"] = given
            if record is None:
                return original(this, *args, **kwargs)
            telling = with_call is not None and calls.pipeline.settings.response_metadata
            twin, twins = this, None
            if record.counts:
                try:
                    if again:
                        try:
                            twins = this._grpctracing
                        except AttributeError:
                            twins = this._grpctracing = []  # taking from a list and giving back are atomic
                    try:
                        twin = twins.pop() if twins else _twin(this)
                    except IndexError:  # another thread was faster
                        twin = _twin(this)
                    counting = twin._grpctracing
                    counting.record = record
                    counting.serializer, counting.deserializer = this._request_serializer, this._response_deserializer
                except Exception as problem:  # a grpc that is made otherwise: the call goes on, uncounted
                    calls.pipeline.error(problem, "client_sync")
                    twin, twins = this, None
            try:
                result = (with_call if telling else original)(twin, *args, **kwargs)
            except BaseException as error:
                unseen(error)
                self._tell(record, error)
                calls.failed(record, error)
                wrong = refused(error, mine)
                if wrong is None:
                    raise
            else:
                follow(record, result)
                return result[0] if telling else result
            finally:
                if twins is not None:
                    twin._grpctracing.record = None
                    twins.append(twin)
            raise wrong

        return call

    def _tell(self, record, call):
        """Capture the response's metadata that *call* has: grpc's, an error, or neither."""
        names = self._calls.pipeline.settings.response_metadata
        if names:
            told(record, names, call)

    def returned(self, record, result):
        """End the call that blocked until its response was there."""
        if type(result) is tuple and result:
            self._tell(record, result[-1])
        self._calls.end(record, status.OK)

    def watch(self, record, rendezvous):
        """End the call when grpc knows its status."""
        state, calls = rendezvous._state, self._calls

        def ended():
            ending = status.number(state.code), status.text(state.details)
            names = calls.pipeline.settings.response_metadata
            if names:

                def tell():
                    answered(record, names, state.initial_metadata)
                    answered(record, names, state.trailing_metadata)
                    return ending

                if (
                    state.initial_metadata is None and record.span is None
                ):  # grpc may hear of the status first; both are there when the span is exported
                    record.late = tell
                else:
                    tell()
            calls.end(record, *ending)

        if not rendezvous.add_callback(ended):
            ended()
        elif isinstance(rendezvous, self._single_threaded):
            # No thread of grpc's learns the status of one that is abandoned.
            def gone(reference):
                self._abandonable.discard(reference)
                if state.code is not None:
                    ended()
                else:  # in a cycle: its finalizer, which cancels it, runs after this
                    calls.end(record, status.CANCELLED, "Cancelled upon garbage collection!")

            self._abandonable.add(ref(rendezvous, gone))


def refused(error, metadata):
    """Return what older grpc raises for malformed *metadata* of the application, and names it, where *error* names ours as well; else None."""
    if not metadata or type(error) not in {ValueError, TypeError}:  # of another kind, str() may do anything
        return None
    try:
        text = str(error)
    except Exception:
        return None
    if text.startswith(_INVALID[:22]) or text == _UNFORMATTED:
        try:
            return ValueError(_INVALID % metadata)
        except TypeError as other:
            other.__context__ = None
            return other.with_traceback(None)
    return None


def _twin(this):
    """Return a multi-callable like *this* whose serializers are those of `_grpctracing`, a Counting (4 µs in a running client)."""
    kind = type(this)
    twin = object.__new__(kind)
    for name in getattr(kind, "__slots__", ()):
        setattr(twin, name, getattr(this, name))
    twin.__dict__.update(this.__dict__)
    twin._grpctracing = counting = Counting()
    twin._request_serializer = counting.serialize
    twin._response_deserializer = counting.deserialize
    return twin


def install(module, calls, patch):
    """Put the hooks into `grpc._channel`; return "" or why not."""
    problem = selfcheck.misfit(module, EXPECTED, ATTRIBUTES)
    if not problem:
        if "target" in selfcheck.parameters(module._UnaryUnaryMultiCallable.__init__):  # since 1.62
            client = Client(module, calls, attrgetter("_target"))
        else:
            targets = Targets()
            patch(module.Channel, "__init__", targets.hook)
            client = Client(module, calls, lambda this: targets.of(this._channel))
        for paths, follow in ((BLOCKING, client.returned), (ONGOING, client.watch)):
            for path in paths:
                owner, _, name = path.partition(".")
                owner = getattr(module, owner)
                with_call = owner.with_call if follow == client.returned and name == "__call__" else None
                # a stream of requests is serialized in a thread that may outlive the call
                again = path.startswith("_UnaryUnary") and follow == client.returned
                patch(owner, name, lambda original, rest=(follow, with_call, again): client.hook(original, *rest))
    return problem
