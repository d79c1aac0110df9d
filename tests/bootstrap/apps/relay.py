"""A service whose method Outer calls its method Inner, which answers with the traceparent that it got. `relay.py` prints its port and serves until its stdin ends."""

import sys
from concurrent import futures

import grpc


def inner(_, context):
    return dict(context.invocation_metadata()).get("traceparent", "").encode()


def outer(request, context):
    if request == b"fail":
        context.abort(grpc.StatusCode.INTERNAL, "asked for")
    return channel.unary_unary("/test.Relay/Inner")(request)


server = grpc.server(futures.ThreadPoolExecutor(4))
methods = {"Outer": outer, "Inner": inner}
handlers = {name: grpc.unary_unary_rpc_method_handler(behavior) for name, behavior in methods.items()}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Relay", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(None).wait()
