"""betterproto over grpclib, another implementation of gRPC in the same process, beside grpcio in both directions."""

import asyncio
from dataclasses import dataclass

import betterproto
import grpc
import grpc.aio
import grpclib.client
import grpclib.const
import grpclib.server
from server import Server


@dataclass
class Message(betterproto.Message):
    text: str = betterproto.string_field(1)


class Stub(betterproto.ServiceStub):
    async def unary(self):
        return await self._unary_unary("/other.Service/Unary", Message(), Message)

    async def stream(self):
        return [one async for one in self._unary_stream("/other.Service/Stream", Message(), Message)]


class Service:
    """Serves with grpclib."""

    async def _unary(self, stream):
        request = await stream.recv_message()
        await stream.send_message(Message(text=request.text + "!"))

    def __mapping__(self):
        kind = grpclib.const.Cardinality.UNARY_UNARY
        return {"/other.Service/Unary": grpclib.const.Handler(self._unary, kind, Message, Message)}


async def main(server):
    channel = grpclib.client.Channel("127.0.0.1", server.port)
    stub = Stub(channel)
    print(repr(await stub.unary()), repr(await stub.stream()))
    channel.close()
    other = grpclib.server.Server([Service()])
    await other.start("127.0.0.1", 0)
    port = other._server.sockets[0].getsockname()[1]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as found:
        method = found.unary_unary("/other.Service/Unary", bytes, Message().parse)
        print(repr(await method(Message(text="a"), timeout=30)))
        try:
            await found.unary_unary("/other.Service/Missing")(b"", timeout=30)
        except grpc.RpcError as error:
            print(error.code(), error.details())
    other.close()
    await other.wait_closed()


with Server() as server:
    asyncio.run(main(server))
    print(sorted(server.methods))
