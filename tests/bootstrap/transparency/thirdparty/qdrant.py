"""qdrant-client: interceptors of its own on all kinds of calls, sync and asynchronous."""

import asyncio

from qdrant_client import AsyncQdrantClient, QdrantClient
from server import Server, atold, told

with Server() as server:
    options = {
        "host": "127.0.0.1",
        "grpc_port": server.port,
        "prefer_grpc": True,
        "check_compatibility": False,
        "api_key": "k",
        "https": False,
    }
    client = QdrantClient(**options)
    told(client.get_collections)
    told(client.collection_exists, "c")
    told(client.count, "c")
    told(client.scroll, "c")
    told(client.close)

    async def asynchronous():
        other = AsyncQdrantClient(**options)
        await atold("get_collections", other.get_collections())
        await atold("count", other.count("c"))
        await other.close()

    asyncio.run(asynchronous())
    print(sorted(server.methods))
