"""The same small web application for gunicorn (`application`) and uvicorn (`asgi`): each request is one gRPC call."""

import os

import grpc
import grpc.aio

TARGET = "localhost:" + os.environ["ECHO"]
_channel = None


def application(_environ, start_response):
    """Answer a request by WSGI."""
    global _channel  # noqa: PLW0603 - one channel per worker, made at its first request
    _channel = _channel or grpc.insecure_channel(TARGET)
    answer = _channel.unary_unary("/test.Echo/UU")(b"a", timeout=30)
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


async def asgi(scope, receive, send):
    """Answer a request by ASGI."""
    global _channel  # noqa: PLW0603 - as above
    if scope["type"] != "http":
        return
    _channel = _channel or grpc.aio.insecure_channel(TARGET)
    answer = await _channel.unary_unary("/test.Echo/UU")(b"a", timeout=30)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": answer})
