"""asyncio client calls, seen where a call goes onto the wire: the constructors of the four call classes in `grpc.aio._call` (probed: 1.48 to 1.85).

Below all interceptors of the application, in the task that runs them, so the current span is right and their `ClientCallDetails` are untouched. The
ending is what grpc's own core call tells its done callbacks: it covers results, errors, deadlines, `cancel()`, cancelled tasks, and calls that are
dropped and collected. The callback lets go of the core call as soon as it fires, or each call would wait for the cyclic collector; only an ending that
grpc is about to correct keeps it, until the exporter has asked again.
"""

from functools import wraps

from . import selfcheck, status
from .call import counting, unseen
from .metadata import Outgoing, answered
from .targets import Targets

_WIRE = (
    "deadline",
    "metadata",
    "credentials",
    "wait_for_ready",
    "channel",
    "method",
    "request_serializer",
    "response_deserializer",
    "loop",
)
_METADATA, _CHANNEL, _METHOD, _SERIALIZER, _DESERIALIZER, _LOOP = (
    1,
    4,
    5,
    6,
    7,
    8,
)  # positions in that, as grpc passes them
_CALLS = ("UnaryUnaryCall", "UnaryStreamCall", "StreamUnaryCall", "StreamStreamCall")
EXPECTED = {
    name + ".__init__": ("self", "request" if name.startswith("Unary") else "request_iterator", *_WIRE)
    for name in _CALLS
}
ATTRIBUTES = {"Call": ("_cython_call",)}
EXPECTED_CHANNEL = {"Channel.__init__": ("self", "target", "options", "credentials", "compression", "interceptors")}
ATTRIBUTES_OF_CHANNEL = {"Channel": ("_channel",)}


# A server may end a call while the client still writes. grpc then says this first, where the write failed before the server's status was read, and
# puts that in its place a moment later.
BROKEN_WRITE = "Internal error from Core"


class _Ended:
    """What the core call runs when it is done."""

    __slots__ = ("_calls", "_core", "_record")

    def __init__(self, calls, record, core):
        self._calls = calls
        self._record = record
        self._core = core

    def __call__(self):
        core, self._core = self._core, None
        if core is not None:
            try:
                ending = core._status
                names = self._calls.pipeline.settings.response_metadata
                if names:
                    answered(self._record, names, _initial_metadata(core))
                    answered(self._record, names, ending.trailing_metadata())
                if ending.details() == BROKEN_WRITE:
                    self._record.late = lambda: (
                        status.number(core._status.code()),
                        status.text(core._status.details()),
                    )
                self._calls.end(self._record, status.number(ending.code()), status.text(ending.details()))
            except Exception as problem:
                self._calls.pipeline.error(problem, "client_aio")


def _initial_metadata(core):
    """Return the initial metadata of a call that is done, for which grpc's coroutine has nothing to wait."""
    asking = core.initial_metadata()
    try:
        asking.send(None)
    except StopIteration as answer:
        return answer.value
    finally:
        asking.close()


def hook(original, outgoing, targets):
    """Return the constructor that stands in for *original* of a call class."""
    calls = outgoing.calls

    @wraps(original)
    def init(this, request, *wire, **more):
        record = None
        if len(wire) >= _LOOP and not calls.passes():
            wire = list(wire)
            record, wire[_METADATA] = outgoing.begin(wire[_METHOD], wire[_METADATA], targets.of, wire[_CHANNEL])
            if record is not None and record.counts:
                pair = slice(_SERIALIZER, _DESERIALIZER + 1)
                wire[pair] = counting(record, *wire[pair])
        try:
            original(this, request, *wire, **more)
        except BaseException as error:
            unseen(error)
            if record is not None:
                calls.failed(record, error)
            raise
        if record is not None:
            this._cython_call.add_done_callback(_Ended(calls, record, this._cython_call))

    return init


def install(module, channel_module, calls, patch):
    """Put the hooks into `grpc.aio._call` and `grpc.aio._channel`; return "" or why not."""
    problem = selfcheck.misfit(module, EXPECTED, ATTRIBUTES) or selfcheck.misfit(
        channel_module, EXPECTED_CHANNEL, ATTRIBUTES_OF_CHANNEL
    )
    if not problem:
        targets, outgoing = Targets(), Outgoing(calls)
        patch(channel_module.Channel, "__init__", targets.hook)
        for name in _CALLS:
            patch(getattr(module, name), "__init__", lambda original: hook(original, outgoing, targets))
    return problem
