"""A server for clients of any kind: it answers every method, known or not, with messages that have nothing in them, which every protobuf type can be read from."""

from concurrent import futures

import grpc


class Anything(grpc.GenericRpcHandler):
    """Handles each method as a stream in both directions: that serves all four kinds."""

    def __init__(self, log):
        self._log = log

    def service(self, handler_call_details):
        self._log.add(handler_call_details.method)
        return grpc.stream_stream_rpc_method_handler(lambda requests, _context: (b"" for _ in requests))


class Server:
    """Runs while the `with` block does; `methods` are those that were called."""

    def __init__(self):
        self.methods = set()
        self._server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(Anything(self.methods),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self.target = f"127.0.0.1:{self.port}"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()


def told(function, *args, **kwargs):
    """Print what *function* returns, by type, or raises."""
    try:
        found = function(*args, **kwargs)
        print(getattr(function, "__name__", function), type(found).__qualname__)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the application sees
        code = getattr(error, "code", None)
        print(getattr(function, "__name__", function), type(error).__qualname__, code() if callable(code) else code)


async def atold(name, awaitable):
    """Print what *awaitable* gives, by type, or raises."""
    try:
        print(name, type(await awaitable).__qualname__)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the application sees
        code = getattr(error, "code", None)
        print(name, type(error).__qualname__, code() if callable(code) else code)
