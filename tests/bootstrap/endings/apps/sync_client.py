"""Clients of `grpc`: what each ending does on this side. Every ending returns what the application sees: nothing, or a status name."""

import _thread
import gc
import json
import logging
import socket
import sys
import threading
import time
import weakref
from concurrent import futures

import grpc
import sync_server
from grpc.experimental import ChannelOptions
from shared import DEADLINE, FAILING, METADATA, OPTIONS, PATIENCE, SECRET, multi_callable, pause_of, request_of, split


def stream(ending, kind, request):
    """Yield what the client streams."""
    yield SECRET
    if ending in FAILING:
        sync_server.wait_for(ending, kind)
    if ending == "RequestsRaise":
        raise ZeroDivisionError
    yield request
    time.sleep(pause_of(ending))


class Client:
    """Calls to the server at *port*. *plain* is False for the other ways to call: with_call, and streams that are read without a thread of grpc's."""

    def __init__(self, port, plain):
        self.plain = plain
        self.port = port
        self.options = OPTIONS if plain else (*OPTIONS, (ChannelOptions.SingleThreadedUnaryStream, 1))
        self.channel = self.connect(port)

    def connect(self, port):
        return grpc.insecure_channel(f"localhost:{port}", self.options)

    def see(self, case):
        """Make the call *case*; return how the application sees it end."""
        ending, kind = split(case)
        try:
            return ENDINGS.get(ending, Client.wait)(self, ending, kind) or "OK"
        except grpc.RpcError as error:
            return error.code().name
        except BaseException as error:  # noqa: BLE001 - that is what it sees
            return type(error).__name__

    def arguments(self, ending, kind, timeout):
        request = request_of(ending)
        if kind[0] == "s":
            request = stream(ending, kind, request)
        return {"request" if kind[0] == "u" else "request_iterator": request, "timeout": timeout, "metadata": METADATA}

    def start(self, ending, kind, channel=None):
        """Return the call object."""
        method = multi_callable(channel or self.channel, ending, kind)
        return (method if kind[1] == "s" else method.future)(**self.arguments(ending, kind, PATIENCE))

    def started(self, ending, kind, channel=None):
        """Return the call object when the server's handler runs."""
        call = self.start(ending, kind, channel)
        sync_server.wait_for(ending, kind)
        return call

    def wait(self, ending, kind, channel=None, timeout=PATIENCE):
        """Call as applications do."""
        method = multi_callable(channel or self.channel, ending, kind)
        arguments = self.arguments(ending, kind, timeout)
        if kind[1] == "s":
            for _ in method(**arguments):
                pass
        elif self.plain:
            method(**arguments)
        else:
            method.with_call(**arguments)

    def deadline(self, ending, kind):
        self.wait(ending, kind, timeout=DEADLINE)

    def cancel(self, ending, kind):
        call = self.started(ending, kind)
        call.cancel()
        return call.code().name

    def interrupt(self, ending, kind):
        """Ctrl-C, while the main thread waits for the call."""
        interrupter = threading.Thread(target=lambda: sync_server.wait_for(ending, kind) and _thread.interrupt_main())
        interrupter.start()
        with self.connect(self.port) as channel:
            self.wait(ending, kind, channel)

    def abandon(self, ending, kind):
        """Read one message, and let go of the call."""
        call = self.start(ending, kind)
        for _ in call:
            break
        sync_server.wait_for(ending, kind)

    def drop(self, ending, kind):
        """As abandon, but only the cyclic collector can tell that nobody wants it any more."""
        call = self.start(ending, kind)
        next(call)
        sync_server.wait_for(ending, kind)
        circle, there = [call], weakref.ref(call)
        circle.append(circle)
        del call, circle
        while there() is not None:  # the collector does nothing where another thread runs it
            gc.collect()

    def ignore(self, ending, kind):
        """Never read."""
        self.started(ending, kind)

    def close_channel(self, ending, kind):
        with self.connect(self.port) as channel:
            call = self.started(ending, kind, channel)
        return call.code().name if kind != "us" or self.plain else next(call)

    def stop_server(self, ending, kind):
        server, port = sync_server.serve()
        with self.connect(port) as channel:
            call = self.started(ending, kind, channel)
            server.stop(0)
            return call.code().name if kind != "us" or self.plain else next(call)

    def refused(self, ending, kind):
        """Call a server that has all the calls it takes."""
        server, port = sync_server.serve(maximum_concurrent_rpcs=1)
        with self.connect(port) as channel:
            first = channel.unary_unary(f"/test.Other/Hold{kind}_uu").future(SECRET, timeout=PATIENCE)
            sync_server.wait_for(f"Hold{kind}", "uu")
            try:
                self.wait(ending, kind, channel)
            finally:
                first.cancel()
                server.stop(1)

    def unreachable(self, ending, kind):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            with self.connect(nobody.getsockname()[1]) as channel:
                self.wait(ending, kind, channel)


ENDINGS = {
    "Deadline": Client.deadline,
    "CancelledByClient": Client.cancel,
    "Interrupted": Client.interrupt,
    "Abandoned": Client.abandon,
    "Collected": Client.drop,
    "NeverIterated": Client.ignore,
    "ChannelClosed": Client.close_channel,
    "ServerStopped": Client.stop_server,
    "Refused": Client.refused,
    "Unreachable": Client.unreachable,
}


def main(plain, cases):
    """Make all calls to a server of the same process; return {case: what its application saw}."""
    server, port = sync_server.serve()
    client = Client(port, plain)
    seen = {}
    with client.channel, futures.ThreadPoolExecutor(4) as pool:
        client.channel.unary_unary("/test.Other/Ok_uu")(b"")
        for ending in dict.fromkeys(split(case)[0] for case in cases):
            mine = [case for case in cases if split(case)[0] == ending]
            alone = ending in {"Interrupted", "Refused"}  # the main thread is one, and so are the calls that are held
            seen |= zip(mine, (map if alone else pool.map)(client.see, mine), strict=True)
        client.channel.unary_unary("/test.Other/Ok_uu")(b"")  # behind all that was cancelled
        sync_server.wait_for_all()
    gc.collect()  # calls that are in a cycle with what they raised
    server.stop(0).wait(
        1
    )  # as long as it takes is for ever now and then: grpcio loses a call whose request it can't read
    return seen


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # grpc logs each failure
    print(json.dumps(main(sys.argv[1] == "sync", json.loads(sys.stdin.readline()))), flush=True)
    sys.stdin.read()  # its spans are on their way
