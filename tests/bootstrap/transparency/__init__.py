"""The cases of the differential suite: what an application may do with grpc, each returning all that it can see.

`run.py NAME` runs one case in its own process and prints what was seen as one JSON document; test_transparency.py runs each of them without and
with the payload and compares. Nothing that differs between two plain runs may be returned: ports, times, addresses.
"""

from tests.bootstrap.transparency import (
    aio,
    aio_client,
    aio_handlers,
    aio_interceptors,
    aio_server,
    call_objects,
    channels,
    client_calls,
    client_streams,
    credentials,
    deadlines,
    interceptors,
    metadata_more,
    process,
    process_more,
    server_more,
    server_sync,
    servicers,
)
from tests.bootstrap.transparency.bench import CASES

__all__ = [
    "CASES",
    "aio",
    "aio_client",
    "aio_handlers",
    "aio_interceptors",
    "aio_server",
    "call_objects",
    "channels",
    "client_calls",
    "client_streams",
    "credentials",
    "deadlines",
    "interceptors",
    "metadata_more",
    "process",
    "process_more",
    "server_more",
    "server_sync",
    "servicers",
]
