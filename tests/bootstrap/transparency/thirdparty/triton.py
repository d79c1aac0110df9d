"""tritonclient: channel options, streams that a thread of the client reads, callbacks, the asynchronous client."""

import asyncio

import tritonclient.grpc as triton
import tritonclient.grpc.aio as atriton
from server import Server, atold, told

with Server() as server:
    client = triton.InferenceServerClient(server.target)
    told(client.is_server_live)
    told(client.is_model_ready, "m")
    told(client.get_server_metadata)
    told(client.get_model_config, "m", headers={"a": "b"})
    told(client.infer, "m", inputs=[])
    told(client.close)

    async def asynchronous():
        other = atriton.InferenceServerClient(server.target)
        await atold("is_server_live", other.is_server_live())
        await atold("get_server_metadata", other.get_server_metadata())
        await other.close()

    asyncio.run(asynchronous())
    print(sorted(server.methods))
