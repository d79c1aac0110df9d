"""etcd3: call credentials by hand, a bidirectional watch in a thread of its own."""

import etcd3
from server import Server, told

with Server() as server:
    client = etcd3.client(port=server.port, timeout=30)
    told(client.put, "a", "b")
    told(client.get, "a")
    told(lambda: list(client.get_prefix("a")))
    told(client.delete, "a")
    told(client.lease, 5)
    told(lambda: list(client.members))
    told(client.status)
    told(client.transaction, compare=[], success=[], failure=[])
    told(client.close)
    print(sorted(server.methods))
