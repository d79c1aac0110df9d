"""Difficult orders, as payment has difficult customers: slow or failing on request."""

import asyncio

import grpc


async def serve_the_difficult(name, context):
    """Do what *name* asks for (order.proto): `slow-<ms>`, `fail-<STATUS>`, `crash`, or nothing."""
    kind, _, argument = name.partition("-")
    if kind == "slow":
        await asyncio.sleep(int(argument) / 1000)
    elif kind == "fail":
        await context.abort(grpc.StatusCode[argument], f"warehouse is closed for {name}")
    elif kind == "crash":
        raise RuntimeError(f"no shelf for {name}")
