"""Clients of `grpc.aio`: what each ending does on this side. Every ending returns what the application sees: nothing, or a status name."""

import asyncio
import gc
import json
import logging
import os
import socket
import sys

import aio_server
import grpc
import grpc.aio
import sync_server
from shared import DEADLINE, METADATA, OPTIONS, PATIENCE, SECRET, multi_callable, pause_of, request_of, split


class Client:
    """Calls to the server at *port*, whose handlers run *in_threads* or are coroutines. In that case messages are written and read one by one, else iterated."""

    def __init__(self, port, in_threads):
        self.in_threads = in_threads
        self.port = port
        self.channel = self.connect(port)

    def connect(self, port):
        return grpc.aio.insecure_channel(f"localhost:{port}", self.options())

    @staticmethod
    def options():
        return OPTIONS

    async def see(self, case):
        """Make the call *case*; return how the application sees it end."""
        ending, kind = split(case)
        try:
            return await ENDINGS.get(ending, Client.wait)(self, ending, kind) or "OK"
        except grpc.RpcError as error:
            return error.code().name
        except BaseException as error:  # noqa: BLE001 - that is what it sees
            return type(error).__name__

    def start(self, ending, kind, channel=None, timeout=PATIENCE):
        """Return the call object."""
        request = request_of(ending)
        method = multi_callable(channel or self.channel, ending, kind)
        if kind[0] == "s":
            requests = stream(ending, kind, request, self.in_threads)
            if self.in_threads and ending not in {"RequestsRaise", "ReturnEarly"}:
                call = method(timeout=timeout, metadata=METADATA)
                call.writing = asyncio.ensure_future(write(call, requests))
                return call
            return method(requests, timeout=timeout, metadata=METADATA)
        return method(request, timeout=timeout, metadata=METADATA)

    async def started(self, ending, kind, channel=None):
        """Return the call object when the server's handler runs."""
        call = self.start(ending, kind, channel)
        await aio_server.wait_for(ending, kind, self.in_threads)
        return call

    async def wait(self, ending, kind, channel=None, within=PATIENCE):
        """Call as applications do."""
        call = self.start(ending, kind, channel, within)
        if kind[1] == "u":
            await call
        elif not self.in_threads:
            async for _ in call:
                pass
        else:
            while await call.read() is not grpc.aio.EOF:
                pass

    async def deadline(self, ending, kind):
        await self.wait(ending, kind, within=DEADLINE)

    async def cancel(self, ending, kind):
        call = await self.started(ending, kind)
        call.cancel()
        return (await call.code()).name

    async def cancel_task(self, ending, kind):
        """Cancel the task that waits for the call."""
        task = asyncio.ensure_future(self.wait(ending, kind))
        await aio_server.wait_for(ending, kind, self.in_threads)
        task.cancel()
        await task

    async def abandon(self, ending, kind):
        """Read one message, and let go of the call: grpc.aio keeps it until its deadline, or until the channel is closed."""
        async with self.connect(self.port) as channel:
            call = self.start(ending, kind, channel)
            if ending != "NeverIterated":
                await call.read()
            await aio_server.wait_for(ending, kind, self.in_threads)
            if ending == "Collected":  # only the cyclic collector can tell that nobody wants it any more
                circle = [call]
                circle.append(circle)
                del circle
            del call
            gc.collect()

    async def close_channel(self, ending, kind):
        async with self.connect(self.port) as channel:
            call = await self.started(ending, kind, channel)
        return (await call.code()).name

    async def stop_server(self, ending, kind):
        server, port = await aio_server.serve(self.in_threads)
        async with self.connect(port) as channel:
            call = await self.started(ending, kind, channel)
            await server.stop(0)
            return (await call.code()).name

    async def refused(self, ending, kind):
        """Call a server that has all the calls it takes."""
        server, port = await aio_server.serve(self.in_threads, maximum_concurrent_rpcs=1)
        async with self.connect(port) as channel:
            first = channel.unary_unary(f"/test.Other/Hold{kind}_uu")(SECRET, timeout=PATIENCE)
            await aio_server.wait_for(f"Hold{kind}", "uu", self.in_threads)
            try:
                await self.wait(ending, kind, channel)
            finally:
                first.cancel()
                await server.stop(1)

    async def unreachable(self, ending, kind):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            async with self.connect(nobody.getsockname()[1]) as channel:
                await self.wait(ending, kind, channel)


async def stream(ending, kind, request, in_threads):
    """Yield what the client streams."""
    yield SECRET
    if ending == "RequestsRaise":
        await aio_server.wait_for(ending, kind, in_threads)
        raise ZeroDivisionError
    yield request
    await asyncio.sleep(pause_of(ending))


async def write(call, requests):
    """Write what the client streams, message by message."""
    async for message in requests:
        await call.write(message)
    await call.done_writing()


ENDINGS = {
    "Deadline": Client.deadline,
    "CancelledByServer": Client.deadline,  # grpc.aio tells the client nothing
    "CancelledByClient": Client.cancel,
    "CancelledByTask": Client.cancel_task,
    "Abandoned": Client.abandon,
    "Collected": Client.abandon,
    "NeverIterated": Client.abandon,
    "ChannelClosed": Client.close_channel,
    "ServerStopped": Client.stop_server,
    "Refused": Client.refused,
    "Unreachable": Client.unreachable,
}


async def main(in_threads, cases):
    """Make all calls to a server of the same process; return {case: what its application saw}."""
    server, port = await aio_server.serve(in_threads)
    client = Client(port, in_threads)
    seen = {}
    async with client.channel:
        await client.channel.unary_unary("/test.Other/Ok_uu")(b"")
        for ending in dict.fromkeys(split(case)[0] for case in cases):
            mine = [case for case in cases if split(case)[0] == ending]
            if ending == "Refused":
                seen |= {case: await client.see(case) for case in mine}
            else:
                seen |= zip(mine, await asyncio.gather(*map(client.see, mine)), strict=True)
        gc.collect()
        await client.channel.unary_unary("/test.Other/Ok_uu")(b"")  # behind all that was cancelled
        await asyncio.wait_for(aio_server.wait_for_all(), PATIENCE)
    sync_server.everything_is_over.set()
    await server.stop(1)
    return seen


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # grpc logs each failure
    print(json.dumps(asyncio.run(main(sys.argv[1] == "aio-threads", json.loads(sys.stdin.readline())))), flush=True)
    sys.stdin.read()  # its spans are on their way
    if sys.argv[1] == "aio-threads":
        os._exit(0)  # grpc.aio leaves threads behind that wait for an event loop that is gone
