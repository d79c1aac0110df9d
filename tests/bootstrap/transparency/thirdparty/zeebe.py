"""pyzeebe: asyncio channels with options, a worker's long polls."""

import asyncio

from pyzeebe import ZeebeClient, create_insecure_channel
from server import Server, atold


async def main(server):
    channel = create_insecure_channel(grpc_address=server.target)
    client = ZeebeClient(channel, max_connection_retries=1)
    await atold("topology", client.topology())
    await atold("run_process", client.run_process("p"))
    await atold("publish_message", client.publish_message("m", "k"))
    await atold("cancel_process_instance", client.cancel_process_instance(5))
    await channel.close()


with Server() as server:
    asyncio.run(main(server))
    print(sorted(server.methods))
