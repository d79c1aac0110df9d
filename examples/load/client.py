"""The load client: ok, slow, failing and streaming calls, in as many numbers as you like, and one JSON line about them.

    python -m load.client --mode sync --ok 100 --slow 1 --failing 2 --streaming 1
    python -m load.client --mode aio --call order.PlaceOrder:fail-UNAVAILABLE*3
    python -m load.client --ok 1 --every 5          # for ever, every five seconds

Start it in the folder above. It has no word about tracing.
"""

import argparse
import asyncio
import collections
import json
import os
import signal
import sys
import threading
import time

import grpc

from load.plan import PRESETS, step
from proto import order_pb2_grpc, payment_pb2_grpc

STUBS = {"payment": payment_pb2_grpc.PaymentServiceStub, "order": order_pb2_grpc.OrderServiceStub}


def call_all(plan, targets, timeout):
    """Make the calls of *plan* one after another; yield (label, status name) of each."""
    channels = {name: grpc.insecure_channel(target) for name, target in targets.items()}
    stubs = {name: STUBS[name](channel) for name, channel in channels.items()}
    for each in plan:
        method = getattr(stubs[each.service], each.method)
        for _ in range(each.times):
            request = iter(each.requests) if each.client_streams else each.requests[0]
            try:
                answer = method(request, timeout=timeout)
                if each.server_streams:
                    collections.deque(answer, maxlen=0)
            except grpc.RpcError as error:
                yield each.label, error.code().name
            else:
                yield each.label, "OK"
    for channel in channels.values():
        channel.close()


async def call_all_aio(plan, targets, deadline):
    """Do the same as `call_all` with grpc.aio; return the list."""
    channels = {name: grpc.aio.insecure_channel(target) for name, target in targets.items()}
    stubs = {name: STUBS[name](channel) for name, channel in channels.items()}
    endings = []
    for each in plan:
        method = getattr(stubs[each.service], each.method)
        for _ in range(each.times):
            request = iter(each.requests) if each.client_streams else each.requests[0]
            try:
                call = method(request, timeout=deadline)
                if each.server_streams:
                    async for _answer in call:
                        pass
                else:
                    await call
            except grpc.aio.AioRpcError as error:
                endings.append((each.label, error.code().name))
            else:
                endings.append((each.label, "OK"))
    for channel in channels.values():
        await channel.close()
    return endings


def round_of_calls(arguments):
    """Make all the calls once and return the summary."""
    plan = [
        step(spec, getattr(arguments, preset), arguments.messages)
        for preset, specs in PRESETS.items()
        if getattr(arguments, preset)
        for spec in specs
    ]
    plan += [step(spec, messages=arguments.messages) for spec in arguments.call]
    targets = {"payment": arguments.payment, "order": arguments.order}
    started = time.monotonic()
    if arguments.mode == "aio":
        endings = asyncio.run(call_all_aio(plan, targets, arguments.timeout))
    else:
        endings = list(call_all(plan, targets, arguments.timeout))
    calls = collections.defaultdict(collections.Counter)
    for label, status in endings:
        calls[label][status] += 1
    return {
        "mode": arguments.mode,
        "total": len(endings),
        "seconds": round(time.monotonic() - started, 3),
        "calls": calls,
    }


def arguments_of(argv):
    parser = argparse.ArgumentParser(prog="load", description="calls of every kind to payment and order")
    parser.add_argument("--mode", choices=("sync", "aio"), default="sync")
    parser.add_argument("--payment", default=os.environ.get("PAYMENT_SERVICE", "payment-service:50051"))
    parser.add_argument("--order", default=os.environ.get("ORDER_SERVICE", "order-service:50052"))
    for preset, specs in PRESETS.items():
        parser.add_argument(f"--{preset}", type=int, default=0, metavar="N", help=f"N times {', '.join(specs)}")
    parser.add_argument("--call", action="append", default=[], metavar="SERVICE.METHOD[:WHO][*N]")
    parser.add_argument("--messages", type=int, default=5, help="messages per stream")
    parser.add_argument("--timeout", type=float, default=10.0, help="deadline of a call in seconds")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="repeat until SIGTERM")
    return parser.parse_args(argv)


def main():
    arguments = arguments_of(sys.argv[1:])
    print(json.dumps(round_of_calls(arguments)), flush=True)
    if arguments.every:
        terminated = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: terminated.set())
        while not terminated.wait(arguments.every):
            print(json.dumps(round_of_calls(arguments)), flush=True)


if __name__ == "__main__":
    main()
