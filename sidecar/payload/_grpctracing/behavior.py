"""The application's behavior under the asyncio server, with an eye on how it ends. No frame of ours stays in what it raises (Python 3.11 and newer)."""

import gc
from functools import partial
from types import FunctionType, MethodType

from . import context
from .call import unseen


class Behavior(partial):
    """Called by grpc in the place of the original, and in the same way. A partial, because `inspect` looks through those."""

    __slots__ = ("served", "streams")

    def __call__(self, request, servicer):
        served = self.served
        in_thread = isinstance(
            servicer, served.core._SyncServicerContext
        )  # for a plain function; a generator is iterated in a thread, too
        if served.record is not None:
            # That one tells no code, but belongs to a context that does.
            served.servicer = (
                next(
                    (found for found in gc.get_referents(servicer) if isinstance(found, served.core._ServicerContext)),
                    None,
                )
                if in_thread
                else servicer
            )
            served.record.target = servicer.peer
        try:
            if in_thread and not self.streams:
                with Current(served):
                    result = partial.__call__(self, request, servicer)
                served.outcome = True
                return result
            result = partial.__call__(self, request, servicer)
        except BaseException as error:
            served.outcome = error
            unseen(error)
            raise
        if in_thread:
            return Iteration(result, served)
        if hasattr(result, "__anext__"):
            if self.streams:
                return Messages(result, served)
            served.outcome = TypeError("object async_generator can't be used in 'await' expression")
            return result  # grpc awaits it in vain, and says so in its own words: Python 3.14 has others
        return _finish(result, served)


def behavior(found, served, streams):
    """Return the Behavior of the application's *found* for the call *served*; *streams*: whether it gives a stream.

    Below Python 3.9 `inspect` does not look through a method inside of a partial.
    """
    if type(found) is MethodType and type(found.__func__) is FunctionType:
        made = Behavior(found.__func__, found.__self__)
    else:
        made = Behavior(found)
    made.served = served
    made.streams = streams
    return made


class Current:
    """Makes the call's context current in a thread that grpc's executor lends."""

    __slots__ = ("_leave", "_served", "_token")

    def __init__(self, served):
        self._served = served

    def __enter__(self):
        self._token = context.current.set(self._served.around)
        self._leave = self._served.calls.join.enter(self._served.record, self._served.around)

    def __exit__(self, kind, error, trace):
        if self._leave is not None:
            self._leave()
        context.current.reset(self._token)


async def _finish(awaitable, served):
    """Await what the application's coroutine function gave."""
    try:
        response = await awaitable
    except BaseException as error:
        served.outcome = error
        unseen(error)
        raise
    served.outcome = True
    return response


class Messages:
    """The application's async generator: let go of at the same moment as it would be, so that it is closed as it would be."""

    __slots__ = ("_next", "_served")

    def __init__(self, messages, served):
        self._next = messages.__anext__
        self._served = served

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self._next()
        except StopAsyncIteration as error:
            self._served.outcome = True
            unseen(error)
            raise
        except BaseException as error:
            self._served.outcome = error
            unseen(error)
            raise


class Iteration:
    """The iterable that the application's plain function gave, with our context around each step."""

    __slots__ = ("_iterable", "_next", "_served")

    def __init__(self, iterable, served):
        self._iterable = iterable
        self._served = served

    def __iter__(self):
        try:
            self._next = iter(self._iterable).__next__
        except BaseException as error:
            self._served.outcome = error
            unseen(error)
            raise
        self._iterable = None
        return self

    def __next__(self):
        with Current(self._served):
            try:
                return self._next()
            except StopIteration as error:
                self._served.outcome = True
                unseen(error)
                raise
            except BaseException as error:
                self._served.outcome = error
                unseen(error)
                raise
