"""temporalio: a gRPC client in Rust, which grpcio's server answers; the two share a process and a loop."""

import asyncio
from datetime import timedelta

import temporalio.api.workflowservice.v1 as api
from server import Server, atold
from temporalio.client import Client


async def main(server):
    client = await Client.connect(server.target, lazy=True)
    await atold("connect", Client.connect(server.target))
    service = client.workflow_service
    await atold("get_system_info", service.get_system_info(api.GetSystemInfoRequest(), timeout=timedelta(seconds=30)))
    await atold("list_namespaces", service.list_namespaces(api.ListNamespacesRequest(), timeout=timedelta(seconds=30)))
    await atold("count_workflows", client.count_workflows("x"))


with Server() as server:
    asyncio.run(main(server))
    print(sorted(server.methods))
