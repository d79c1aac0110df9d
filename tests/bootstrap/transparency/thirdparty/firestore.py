"""google-cloud-firestore: server streams behind wrappers, transactions, the asynchronous client."""

import asyncio

import google.auth.credentials
import grpc
import grpc.aio
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient, FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import (
    FirestoreGrpcAsyncIOTransport,
    FirestoreGrpcTransport,
)
from server import Server, atold, told

nobody = google.auth.credentials.AnonymousCredentials()
with Server() as server:
    channel = grpc.insecure_channel(server.target)
    client = firestore.Client(project="p", credentials=nobody)
    client._firestore_api_internal = FirestoreClient(transport=FirestoreGrpcTransport(channel=channel))
    told(lambda: client.document("c/d").get(timeout=30))
    told(lambda: client.document("c/d").set({"a": 1}, timeout=30))
    told(lambda: list(client.collection("c").stream(timeout=30)))
    told(lambda: list(client.collections(timeout=30)))
    channel.close()

    async def asynchronous():
        async with grpc.aio.insecure_channel(server.target) as other:
            api = FirestoreAsyncClient(transport=FirestoreGrpcAsyncIOTransport(channel=other))
            await atold(
                "get_document", api.get_document(request={"name": "projects/p/databases/d/documents/c/d"}, timeout=30)
            )
            stream = await api.batch_get_documents(request={"database": "d"}, timeout=30)
            print([type(message).__name__ async for message in stream])

    asyncio.run(asynchronous())
    print(sorted(server.methods))
