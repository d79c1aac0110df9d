"""A server or a client in a process of its own, of which one ends while calls are going on.

`lives.py serve sync|aio` prints its port, and the name of each call whose handler runs; one of asyncio ends when its stdin does. `lives.py call sync|aio PORT ENDING` makes a call of each kind and
prints {case: how its application saw it end}; ClientExits ends when its stdin does, with its calls still open.
"""

import asyncio
import json
import logging
import sys
import threading
from concurrent import futures

import aio_client
import aio_server
import sync_client
import sync_server
from shared import MAKERS


class Announcing(dict):
    """Events by call; the first look at one is that the handler sets it."""

    def __init__(self, event):
        super().__init__()
        self._event = event

    def __missing__(self, case):
        print(case, flush=True)
        return self.setdefault(case, self._event())


def serve_sync():
    sync_server.began = Announcing(threading.Event)
    server, port = sync_server.serve()
    print(port, flush=True)
    server.wait_for_termination()


async def serve_aio():
    aio_server.began = Announcing(asyncio.Event)
    server, port = await aio_server.serve(in_threads=False)
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    del server  # not stopped: asyncio cancels what still runs


def call_sync(port, ending):
    client = sync_client.Client(port, plain=True)
    calls = {f"{ending}_{kind}": client.start(ending, kind) for kind in MAKERS}
    if ending == "ClientExits":
        sys.stdin.read()
        return calls
    with futures.ThreadPoolExecutor(4) as pool:
        return dict(zip(calls, pool.map(lambda call: call.code().name, calls.values()), strict=True))


async def call_aio(port, ending):
    client = aio_client.Client(port, in_threads=False)
    calls = {f"{ending}_{kind}": client.start(ending, kind) for kind in MAKERS}
    if ending == "ClientExits":
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        return calls
    return {case: (await call.code()).name for case, call in calls.items()}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # grpc logs each failure
    what, stack, *rest = sys.argv[1:]
    if what == "serve":
        serve_sync() if stack == "sync" else asyncio.run(serve_aio())
    else:
        port, ending = int(rest[0]), rest[1]
        seen = call_sync(port, ending) if stack == "sync" else asyncio.run(call_aio(port, ending))
        if ending != "ClientExits":
            print(json.dumps(seen), flush=True)
            sys.stdin.read()  # its spans are on their way
