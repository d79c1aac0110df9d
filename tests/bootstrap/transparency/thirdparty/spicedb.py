"""authzed: its own channel, which adds a token by interceptors where there is no TLS."""

from authzed.api.v1 import CheckPermissionRequest, InsecureClient, LookupResourcesRequest, ReadSchemaRequest
from server import Server, told

with Server() as server:
    client = InsecureClient(server.target, "token")
    told(lambda: client.CheckPermission(CheckPermissionRequest(), timeout=30))
    told(lambda: client.ReadSchema(ReadSchemaRequest(), timeout=30))
    told(lambda: list(client.LookupResources(LookupResourcesRequest(), timeout=30)))
    print(sorted(server.methods))
