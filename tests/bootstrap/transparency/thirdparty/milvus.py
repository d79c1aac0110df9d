"""pymilvus: channel_ready_future, interceptors that add headers, a connection kept in a registry."""

from pymilvus import MilvusClient
from server import Server, told

with Server() as server:
    client = MilvusClient(uri=f"http://{server.target}", timeout=30)
    told(client.list_collections)
    told(client.has_collection, "c")
    told(client.get_server_version)
    told(client.list_users)
    told(client.close)
    print(sorted(server.methods))
