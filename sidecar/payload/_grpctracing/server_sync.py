"""Sync server calls, seen in `grpc._server` (probed: 1.48 to 1.85) around what grpc does, never around the application's code.

So handlers, contexts, generators and the tracebacks that grpc logs are untouched, whatever they are. Four moments of one call, all of them functions that
grpc looks up in its module each time; what belongs to the call hangs on grpc's own record of it, `_RPCState`, as an attribute (asking for the record's
`__dict__` would have the interpreter make one, and grpc's own accesses would take the slow way from then on):
- it is accepted (`_handle_unary_unary`, …): the clock starts, before it waits for a thread of the pool;
- it runs in the pool (`_unary_response_in_pool`, …): our context is current in that thread;
- a message comes or goes (`_receive_message`, `_send_response`, `_status`): counted;
- a status is sent (`_status`, `_abort`) or the client is gone: ended, by whichever thread notices first. A client that goes away ends the call even where
  the handler does not care.
"""

import time
from functools import wraps

from . import context, selfcheck, semconv, status
from .call import unseen
from .metadata import answered, captured
from .served import Served, counted, told

_ACCEPT = ("rpc_event", "state", "method_handler", "default_thread_pool")
_RUN = ("rpc_event", "state", "behavior", "argument_thunk", "request_deserializer", "response_serializer")
EXPECTED = {
    "_handle_unary_unary": _ACCEPT,
    "_handle_unary_stream": _ACCEPT,
    "_handle_stream_unary": _ACCEPT,
    "_handle_stream_stream": _ACCEPT,
    "_unary_response_in_pool": _RUN,
    "_stream_response_in_pool": _RUN,
    "_receive_message": ("state", "call", "request_deserializer"),
    "_send_response": ("rpc_event", "state", "serialized_response"),
    "_status": ("rpc_event", "state", "serialized_response"),
    "_abort": ("state", "call", "code", "details"),
    "_reject_rpc": None,
    "_Context.send_initial_metadata": ("self", "initial_metadata"),
    "_Context.cancel": ("self",),
    "_Server.stop": ("self", "grace"),
    "_RPCState": None,
    "_CANCELLED": None,
}
ATTRIBUTES = {
    "_RPCState": ("callbacks", "client", "code", "details", "statused", "trailing_metadata"),
    "_Context": ("_state",),
}
_SERVER = 2
_MAX_METHODS = 4096  # a generic handler may take any name
_BY_CHANCE = (status.OK, status.UNIMPLEMENTED)  # sent in vain where the call is over and nobody has said so yet


class Server:
    """The hooks, by the names of what they stand in for."""

    def __init__(self, module, calls):
        self._calls = calls
        self._cancelled = module._CANCELLED
        self._methods = {}  # names as grpc has them → as text

    # ---- accepted

    def accept(self, original):
        """Stand in for _handle_unary_unary and its three siblings. Called with the state's lock held, as are the callbacks."""
        streams = original.__name__.startswith("_handle_stream_")

        @wraps(original)
        def handle(rpc_event, state, method_handler, default_thread_pool):
            try:
                if not self._calls.off():
                    self._begin(rpc_event, state, streams)
            except Exception as problem:
                self._calls.pipeline.error(problem, "server_sync")
            return original(rpc_event, state, method_handler, default_thread_pool)

        return handle

    def _begin(self, rpc_event, state, streams):
        calls = self._calls
        pipeline = calls.pipeline
        path = rpc_event.call_details.method or rpc_event.tag  # as _path
        method = self._methods.get(path) or self._learn(path)
        metadata = rpc_event.invocation_metadata
        parent, baggage = pipeline.extract(metadata)
        excluded = pipeline.exclusions.get(method)
        if calls.excluded(method) if excluded is None else excluded:
            state._grpctracing = Served(None, (parent, baggage), streams, None, None, None)
            return
        record = calls.begin(_SERVER, method, rpc_event.call.peer, parent)
        names = pipeline.settings.request_metadata
        if names:
            record.metadata = captured("rpc.request.metadata.", metadata, names)
        served = Served(record, (record.context, baggage), streams, rpc_event, state, self._settle)
        state._grpctracing = served
        state.callbacks.append(served)

    def _learn(self, path):
        method = status.text(path)
        if len(self._methods) < _MAX_METHODS:
            self._methods[path] = method
        return method

    # ---- running

    def run(self, original):
        """Stand in for _unary_response_in_pool and _stream_response_in_pool."""
        join = self._calls.join

        @wraps(original)
        def in_pool(rpc_event, state, behavior, argument_thunk, request_deserializer, response_serializer):
            served = state._grpctracing
            if served is None:
                return original(rpc_event, state, behavior, argument_thunk, request_deserializer, response_serializer)
            token = context.current.set(served.around)
            leave = join.enter(served.record, served.around) if join.here else None
            try:
                return original(rpc_event, state, behavior, argument_thunk, request_deserializer, response_serializer)
            finally:
                if leave is not None:
                    leave()
                context.current.reset(token)
                if served.record is not None:
                    self._settle(state, False)  # noqa: FBT003 - not over

        return in_pool

    # ---- messages

    def receive(self, original):
        """Stand in for _receive_message, which makes the function that takes one message."""

        @wraps(original)
        def receive_message(state, call, request_deserializer):
            take = original(state, call, request_deserializer)
            served = state._grpctracing
            if served is None or served.record is None or not served.record.counts:
                return take
            served.take = take
            return served.took

        return receive_message

    def send(self, original):
        """Stand in for _send_response."""

        @wraps(original)
        def send_response(rpc_event, state, serialized_response):
            record = told(state)
            if record is not None and not state.statused and state.client is not self._cancelled:
                counted(record, serialized_response)
            return original(rpc_event, state, serialized_response)

        return send_response

    def initial_metadata(self, original):
        """Stand in for _Context.send_initial_metadata, which the application calls, if anybody does."""

        @wraps(original)
        def send_initial_metadata(this, initial_metadata):
            record, names = told(this._state), self._calls.pipeline.settings.response_metadata
            if names and record is not None and isinstance(initial_metadata, (list, tuple)):
                answered(record, names, initial_metadata)
            try:
                return original(this, initial_metadata)
            except BaseException as error:
                unseen(error)
                raise

        return send_initial_metadata

    # ---- endings

    def status(self, original):
        """Stand in for _status. What is written down here counts only if grpc then sends it, see _settle."""

        @wraps(original)
        def send_status(rpc_event, state, serialized_response):
            served = state._grpctracing
            record = served.record if served is not None else None
            if record is not None and not state.statused:
                record.code = status.OK if state.code is None else status.number(state.code)
                record.details = state.details
                if serialized_response is not None:
                    counted(record, serialized_response)
            try:
                return original(rpc_event, state, serialized_response)
            except (
                BaseException
            ) as error:  # trailing metadata that cannot be sent: the pool's thread prints the traceback
                unseen(error)
                raise

        return send_status

    def abort(self, original):
        """Stand in for _abort: the handler raised, or grpc could not (de)serialize."""

        @wraps(original)
        def abort(state, call, code, details):
            served = state._grpctracing  # looked at once: whoever ends the call takes it away
            record = served.record if served is not None else None
            if record is not None and not state.statused:
                record.code = status.number(code if state.code is None else state.code)
                record.details = details if state.details is None else state.details
                if record.code == status.UNIMPLEMENTED:  # no request came
                    served.doubtful = True
            try:
                return original(state, call, code, details)
            except BaseException as error:  # as in status
                unseen(error)
                raise

        return abort

    def _settle(self, state, over):
        """End the call if its ending is known: a status was sent, the client is gone, or grpc is *over* with it."""
        gone = state.client is self._cancelled
        served = state._grpctracing
        if served is None or not (state.statused or gone or over):
            return
        record = served.record
        sent = state.statused and record.code >= 0
        if sent and served.doubtful and record.code in _BY_CHANCE:
            if not (gone or over):
                return
            sent = not gone
        try:
            del state._grpctracing  # atomic: the pool's thread and grpc's meet here
        except AttributeError:
            return
        names = self._calls.pipeline.settings.response_metadata
        if names:
            answered(record, names, state.trailing_metadata)
        if sent:
            self._calls.end(record, record.code, status.text(record.details) if record.details else "")
        elif served.stop_at is not None and time.monotonic() >= served.stop_at:
            self._calls.end(record, status.UNAVAILABLE, status.STOPPED)
        else:
            deadline = served.event.call_details.deadline
            remaining = deadline - time.time() if deadline is not None else None
            self._calls.end(record, status.cut_short(remaining, record.elapsed()))

    def cancel(self, original):
        """Stand in for _Context.cancel."""

        @wraps(original)
        def cancel(this):
            served = this._state._grpctracing
            if served is not None:
                served.doubtful = True
            return original(this)

        return cancel

    def stop(self, original):
        """Stand in for _Server.stop. What is left when the grace is over is cancelled by the server, and its clients are told UNAVAILABLE."""

        @wraps(original)
        def stop(this, grace):
            try:
                at, server = time.monotonic() + (grace or 0.0) - status.CLOCKS_DIFFER, this._state
                with server.lock:
                    for state in server.rpc_states:
                        served = state._grpctracing
                        if served is not None:
                            served.stop_at = at if served.stop_at is None else min(at, served.stop_at)
            except Exception as problem:
                self._calls.pipeline.error(problem, "server_sync")
            return original(this, grace)

        return stop

    def reject(self, original):
        """Stand in for _reject_rpc: no such method, too many calls, or an interceptor that raised. Its parameters differ between versions."""

        @wraps(original)
        def reject(*args):
            try:
                if not self._calls.off():
                    self._tell_rejected(args[0], status.number(args[-2]), status.text(args[-1]))
            except Exception as problem:
                self._calls.pipeline.error(problem, "server_sync")
            return original(*args)

        return reject

    def _tell_rejected(self, rpc_event, code, details):
        calls = self._calls
        path = _path(rpc_event)
        method = status.text(path)
        if not calls.excluded(method):
            known = code == status.RESOURCE_EXHAUSTED or path in self._methods
            parent, _ = calls.pipeline.extract(rpc_event.invocation_metadata)
            # A name that only the client made up must not become a metric's attribute.
            record = calls.begin(
                _SERVER, method if known else semconv.OTHER, status.text(rpc_event.call.peer()), parent
            )
            record.original = None if known else method
            calls.end(record, code, details)


def _path(rpc_event):
    # a registered method's name travels as the event's tag (1.65 and newer)
    return rpc_event.call_details.method or rpc_event.tag


def install(module, calls, patch):
    """Put the hooks into `grpc._server`; return "" or why not."""
    problem = selfcheck.misfit(module, EXPECTED, ATTRIBUTES)
    if not problem:
        server = Server(module, calls)
        module._RPCState._grpctracing = None  # where nothing hangs on one
        hooks = {
            "_receive_message": server.receive,
            "_send_response": server.send,
            "_status": server.status,
            "_abort": server.abort,
            "_reject_rpc": server.reject,
            "_Context.send_initial_metadata": server.initial_metadata,
            "_Context.cancel": server.cancel,
            "_Server.stop": server.stop,
        }
        for path, names in EXPECTED.items():
            hook = server.accept if names is _ACCEPT else server.run if names is _RUN else hooks.get(path)
            if hook is not None:
                owner, _, name = path.rpartition(".")
                patch(getattr(module, owner) if owner else module, name, hook)
    return problem
