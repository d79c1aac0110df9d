"""TLS and call credentials, sync and asyncio."""

import os
from concurrent import futures
from pathlib import Path

import grpc
import grpc.aio

from tests.bootstrap.transparency.bench import aio_attempt, aio_echo, attempt, case, echo, handler, handlers, pairs


def pem():
    folder = Path(os.environ["TLS_FOLDER"])
    return (folder / "key.pem").read_bytes(), (folder / "cert.pem").read_bytes()


class Secure:
    """A sync server with one method behind *credentials* (None: TLS with the self-made certificate)."""

    def __init__(self, behavior, credentials=None):
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers((handlers(M=handler("uu", behavior)),))
        self.port = self.server.add_secure_port("localhost:0", credentials or grpc.ssl_server_credentials([pem()]))

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()

    def call(self, channel_credentials, **options):
        with grpc.secure_channel(f"localhost:{self.port}", channel_credentials) as channel:
            return channel.unary_unary("/t.S/M")(b"a", timeout=30, **options).decode()


def trusting():
    return grpc.ssl_channel_credentials(pem()[1])


class Plugin(grpc.AuthMetadataPlugin):
    def __init__(self, seen, *answer):
        self.seen = seen
        self.answer = answer

    def __call__(self, context, callback):
        url, host = context.service_url.rsplit("/", 1)[-1], context.method_name
        self.seen.append([url, host, type(context).__qualname__])
        callback(*self.answer)


@case
def tls():
    seen = []

    def behavior(request, context):
        found = {key: len(values) for key, values in context.auth_context().items()}
        seen.append([sorted(found), context.peer_identities(), context.peer_identity_key()])
        return request

    with Secure(behavior) as s:
        return [s.call(trusting()), seen]


@case
def tls_with_a_client_certificate():
    seen = []

    def behavior(request, context):
        seen.append([context.peer_identities(), context.peer_identity_key()])
        return request

    key, certificate = pem()
    server = grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    with Secure(behavior, server) as s:
        return [s.call(grpc.ssl_channel_credentials(certificate, key, certificate)), seen]


@case
def tls_that_nobody_trusts():
    with Secure(echo) as s:
        return attempt(lambda: s.call(grpc.ssl_channel_credentials()))[2]


@case
def call_credentials_in_the_channel():
    seen, got = [], []

    def behavior(request, context):
        got.append(pairs(context.invocation_metadata()))
        return request

    plugin = grpc.metadata_call_credentials(Plugin(seen, (("authorization", "mine"), ("b-bin", b"\x00")), None), "name")
    with Secure(behavior) as s:
        answer = s.call(grpc.composite_channel_credentials(trusting(), plugin), metadata=(("k", "v"),))
    return [answer, seen, sorted(got[0])]


@case
def call_credentials_of_one_call():
    got = []

    def behavior(request, context):
        got.append(sorted(pairs(context.invocation_metadata())))
        return request

    with Secure(behavior) as s:
        token = grpc.access_token_call_credentials("secret")
        both = grpc.composite_call_credentials(
            token, grpc.metadata_call_credentials(Plugin([], (("second", "2"),), None))
        )
        return [s.call(trusting(), credentials=token), s.call(trusting(), credentials=both), got]


@case
def call_credentials_that_fail():
    class Raising(grpc.AuthMetadataPlugin):
        def __call__(self, context, callback):
            raise ValueError("mine")

    seen = []
    with Secure(echo) as s:
        refusing = grpc.metadata_call_credentials(Plugin(seen, (), ValueError("mine")))
        return [
            attempt(lambda: s.call(trusting(), credentials=refusing))[2],
            attempt(lambda: s.call(trusting(), credentials=grpc.metadata_call_credentials(Raising())))[2],
            seen,
        ]


@case
def call_credentials_without_tls():
    from tests.bootstrap.transparency.bench import Sync

    with Sync("uu", echo) as s:
        return attempt(lambda: s.method(b"a", credentials=grpc.access_token_call_credentials("secret")))[:4]


@case
def local_credentials():
    with Secure(echo, grpc.local_server_credentials()) as s:
        credentials = grpc.local_channel_credentials()
        return [s.call(credentials), s.call(credentials, credentials=grpc.access_token_call_credentials("x"))]


@case
def compute_engine_and_other_makers_exist():
    return [
        attempt(
            lambda: type(grpc.compute_engine_channel_credentials(grpc.access_token_call_credentials("x"))).__name__
        )[:1],
        type(grpc.alts_channel_credentials()).__name__,
        type(grpc.ssl_server_certificate_configuration([pem()])).__name__,
        attempt(lambda: type(grpc.insecure_server_credentials()).__name__)[:3],
    ]


@case
async def aio_tls_and_call_credentials():
    got = []

    async def behavior(request, context):
        got.append([sorted(pairs(context.invocation_metadata())), sorted(context.auth_context())])
        return request

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(M=handler("uu", behavior)),))
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pem()]))
    await server.start()
    seen = []
    plugin = grpc.metadata_call_credentials(Plugin(seen, (("authorization", "mine"),), None))
    async with grpc.aio.secure_channel(f"localhost:{port}", trusting()) as channel:
        method = channel.unary_unary("/t.S/M")
        answers = [await method(b"a", credentials=plugin, metadata=(("k", "v"),)), await method(b"b")]
    async with grpc.aio.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials()) as channel:
        refused = (await aio_attempt(channel.unary_unary("/t.S/M")(b"a")))[2]
    await server.stop(1)
    return [answers, refused, seen, got]


@case
async def aio_call_credentials_without_tls():
    from tests.bootstrap.transparency.bench import Aio

    async with Aio("uu", aio_echo) as s:
        try:
            return await aio_attempt(s.method(b"a", credentials=grpc.access_token_call_credentials("secret")))
        except Exception as error:  # noqa: BLE001 - as in attempt
            return [type(error).__qualname__, str(error)]
