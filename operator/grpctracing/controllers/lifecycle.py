"""kopf, for the one kind that has a life cycle: GrpcTracing.

kopf puts our finalizer on each object and takes it off when the delete handler has returned; that handler waits until the
controllers have brought everything back. Handlers decide nothing and write nothing: they hand over a key. kopf's own notes
(progress, last handled state) are switched off: all our work is level-triggered and needs no memory on the object.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import threading
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import kopf

from grpctracing.kube import config, errors
from grpctracing.kube.resources import GRPC_TRACINGS, Key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from kubernetes.aio.client import Configuration

FINALIZER: Final = "grpctracing.dev/revert"
PREFIX: Final = "grpctracing.dev"
LOGIN_SECONDS: Final = 30.0
"""The longest pause between two logins: kopf asks for one after each 401, as fast as it is answered."""
IDENTITY: Final = "grpctracing"  # kopf would ask for the name of our user, and UID 10001 has none


class NoNotes(kopf.AnnotationsDiffBaseStorage):  # type: ignore[misc]  # kopf is read untyped
    """Keeps no copy of the last handled state: nothing here asks what has changed."""

    def store(self, **_: Any) -> None:
        """Write nothing."""


async def run(
    configuration: Configuration,
    namespaces: tuple[str, ...],
    *,
    look: Callable[[Key], None],
    left: Callable[[Key, str], Awaitable[None]],
    stop: asyncio.Event,
    interrupted: asyncio.Event,
    may_write: Callable[[], bool],
) -> None:
    """Run kopf until *stop* is set.

    *look* takes a key; *left* returns when a deleted object has left nothing behind; *interrupted* is set on SIGTERM and
    SIGINT; *may_write* is asked before each of kopf's writes. Raises what kopf has given up on.
    """
    pace = Pace()
    registry = kopf.OperatorRegistry()
    where = (GRPC_TRACINGS.group, GRPC_TRACINGS.version, GRPC_TRACINGS.plural)

    async def login(**_: Any) -> kopf.AiohttpSession:
        await asyncio.sleep(pace.wait(asyncio.get_running_loop().time()))
        config.refresh(configuration)
        return await connection(configuration, may_write)

    def changed(namespace: str, name: str, **_: Any) -> None:
        look(Key(namespace, name))

    async def deleted(namespace: str, name: str, uid: str, **_: Any) -> None:
        look(Key(namespace, name))
        await left(Key(namespace, name), uid)

    kopf.on.login(registry=registry)(login)
    kopf.on.event(*where, registry=registry)(changed)
    kopf.on.delete(*where, registry=registry)(deleted)
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=settings(),
        identity=IDENTITY,
        standalone=True,  # of several processes one runs kopf: see kube/lease.py
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )
    give_back_signals(interrupted)
    await kopf.run_tasks(tasks, ignored=NotKopf())


class NotKopf(Collection[asyncio.Task[Any]]):
    """The tasks that kopf must not cancel when it ends: it counts as its own whatever has begun after it."""

    HOME: Final = str(Path(kopf.__file__).parent)

    def __contains__(self, task: object) -> bool:
        """Tell whether *task* does not run kopf's code."""
        code = getattr(task.get_coro(), "cr_code", None) if isinstance(task, asyncio.Task) else None
        return code is None or not code.co_filename.startswith(self.HOME)

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        """Yield those of now."""
        return (task for task in asyncio.all_tasks() if task in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Pace:
    """Keeps logins apart: the first one of a while at once, each soon after it later than the one before."""

    def __init__(self) -> None:
        self._next = 0.0
        self._pause = 0.0

    def wait(self, now: float) -> float:
        """Return for how many seconds a login that is asked for *now* has to wait."""
        self._pause = min(LOGIN_SECONDS, max(0.5, self._pause * 2)) if now < self._next else 0.0
        self._next = now + self._pause + LOGIN_SECONDS
        return self._pause


def give_back_signals(interrupted: asyncio.Event) -> None:
    """Take the signals back that kopf has taken for itself: it is a part of this process, not its head."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, interrupted.set)


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings: our names, no notes, no events, no watching for new kinds or namespaces (less to permit)."""
    own = kopf.OperatorSettings()
    own.persistence.finalizer = FINALIZER
    own.persistence.diffbase_storage = NoNotes(prefix=PREFIX)
    own.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=PREFIX)
    own.posting.enabled = False
    own.scanning.disabled = True
    own.process.ultimate_exiting_timeout = None
    own.queueing.exit_timeout = 0.5  # for a handler that waits for a revert the next leader's will wait on
    own.networking.request_timeout = 30
    own.networking.connect_timeout = 10
    own.watching.server_timeout = 290
    return own


async def connection(configuration: Configuration, may_write: Callable[[], bool]) -> kopf.AiohttpSession:
    """Return the same connection as our own client's, with the same fence; kopf asks again when a token is refused."""
    auth: Any = (await configuration.auth_settings()).get("BearerToken")
    token = auth["value"].split(" ", 1)[-1].strip() if auth and auth["value"] else None
    info = kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        token=token,
        scheme="Bearer" if token else None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )
    context: ssl.SSLContext = info.as_ssl_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as tolerant of a cluster's own certificates as `kube.config`
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=context),
        headers=info.as_http_headers(),
        trace_configs=[fence(may_write)],
    )
    return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)


def fence(may_write: Callable[[], bool]) -> aiohttp.TraceConfig:
    """Return what keeps kopf's writes (our finalizer on, our finalizer off) from a process that does not lead."""

    async def before(_: object, __: object, request: aiohttp.TraceRequestStartParams) -> None:
        if request.method.upper() != "GET" and not may_write():
            raise errors.NotLeader(0, f"{request.method} {request.url} not sent: this process does not lead")

    config = aiohttp.TraceConfig()
    config.on_request_start.append(before)
    return config
