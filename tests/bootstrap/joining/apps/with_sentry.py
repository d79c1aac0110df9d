"""Sentry with its GRPCIntegration, set up before or after the import of grpc. Its events stay here."""

import json
import sys
from concurrent import futures

import sentry_sdk
from sentry_sdk.transport import Transport

events = []


class Keep(Transport):
    def capture_envelope(self, envelope):
        events.extend(item.payload.json for item in envelope.items if item.payload.json)

    def capture_event(self, event):
        events.append(event)


def set_up():
    from sentry_sdk.integrations.grpc import GRPCIntegration

    sentry_sdk.init(
        "http://key@127.0.0.1:1/1",
        traces_sample_rate=1.0,
        integrations=[GRPCIntegration()],
        transport=Keep,
        default_integrations=False,
    )


def carried():
    """Return the names in the baggage that arrives behind a service that took some and calls on."""
    import grpc

    def last(request, context):
        headers = [value for key, value in context.invocation_metadata() if key == "baggage"]
        return ",".join(member.partition("=")[0] for header in headers for member in header.split(",")).encode()

    def chain(request, context):
        return grpc.insecure_channel(target).unary_unary("/test.Chain/Last")(request)

    server = grpc.server(futures.ThreadPoolExecutor(4))
    handlers = {
        "First": grpc.unary_unary_rpc_method_handler(chain),
        "Last": grpc.unary_unary_rpc_method_handler(last),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Chain", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    target = f"localhost:{port}"
    server.start()
    call = grpc.insecure_channel(target).unary_unary("/test.Chain/First")
    found = call(b"", metadata=(("baggage", "user=1"),)).decode().split(",")
    server.stop(None).wait()
    return sorted(found)


def main(how):
    if how == "before":
        set_up()
    import echo

    if how == "after":
        echo.first()
        set_up()
    with sentry_sdk.start_transaction(name="root", op="test"):
        seen = echo.run()
    names = carried()
    sentry_sdk.flush()
    theirs = sorted(
        [
            event.get("type") or "error",
            event["transaction"] if event.get("type") else "",  # an error's: Sentry's own chance under asyncio
            sorted([span["op"], span["description"]] for span in event.get("spans", ())),
        ]
        for event in events
    )
    print(json.dumps({"app": seen, "theirs": theirs, "carried": names}))


main(sys.argv[1])
