"""What else of the process an application can see."""

import inspect
import threading

from tests.bootstrap.transparency.bench import Sync, bidi, case, echo


@case
def threads_and_signals():
    import signal

    with Sync("uu", echo) as s:
        s.method(b"a")
        return [
            sorted(thread.name.split("_")[0] for thread in threading.enumerate() if "consume" not in thread.name),
            [str(signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)],
        ]


@case
def modules_are_themselves():
    import pickle

    import grpc._channel
    import grpc._server

    classes = (grpc.RpcError, grpc.StatusCode, grpc._channel._UnaryUnaryMultiCallable, grpc.aio.Metadata)
    names_of = [
        [
            module.__name__,
            type(module.__loader__).__qualname__,
            type(module.__spec__.loader).__qualname__,
            sorted(vars(module)),
        ]
        for module in (grpc, grpc._channel, grpc._server, grpc.aio)
    ]
    return [
        names_of,
        [pickle.loads(pickle.dumps(one)) is one for one in classes],
        inspect.getsource(grpc._channel._UnaryUnaryMultiCallable.__call__)[:40],
    ]


@case
def standard_streams_of_calls():
    with Sync("ss", bidi) as s:
        list(s.method(iter([b"a"])))
    return "nothing else is printed"
