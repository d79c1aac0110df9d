"""ydb: wraps each call, subscribes to connectivity, its own thread for discovery, both stacks."""

import asyncio

import ydb
import ydb.aio
from server import Server, atold, told

with Server() as server:
    config = ydb.DriverConfig(f"grpc://{server.target}", "/local", disable_discovery=True)
    driver = ydb.Driver(config)
    told(lambda: driver.wait(timeout=10))
    told(lambda: driver.table_client.session().create(ydb.BaseRequestSettings().with_timeout(10)))
    told(lambda: driver.scheme_client.list_directory("/local", ydb.BaseRequestSettings().with_timeout(10)))
    told(lambda: driver.scheme_client.make_directory("/local/a", ydb.BaseRequestSettings().with_timeout(10)))
    told(driver.stop)

    async def asynchronous():
        async with ydb.aio.Driver(config) as other:
            settings = ydb.BaseRequestSettings().with_timeout(10)
            await atold("list_directory", other.scheme_client.list_directory("/local", settings))

    asyncio.run(asynchronous())
    print(sorted(server.methods))
