"""Begins kopf anew where it has given up.

kopf ends on each watch error other than 410, on a 404 of a kind that was served a moment ago, and after a minute of 5xx: all
things that pass. Ending the process with it would empty every cache for the sake of one finalizer. What kopf looks up at
its start only (is the kind served?) is looked up ahead of it: without that it would wait for ever for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from grpctracing.controllers import lifecycle
from grpctracing.kube import errors
from grpctracing.kube.resources import GRPC_TRACINGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from grpctracing.kube.client import Client
    from grpctracing.kube.resources import Key

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 15.0
LASTING: Final = 60.0
"""Seconds after which what ended is no longer counted as a failure in a row."""


async def run(
    client: Client,
    namespaces: tuple[str, ...],
    *,
    look: Callable[[Key], None],
    left: Callable[[Key, str], Awaitable[None]],
    stop: asyncio.Event,
    interrupted: asyncio.Event,
) -> None:
    """Run kopf until *stop* is set, again and again; the arguments are those of `lifecycle.run`. Raises NotLeader."""
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE
    while not stop.is_set():
        begun = loop.time()
        try:
            for namespace in namespaces or (None,):
                await client.page(GRPC_TRACINGS, namespace, {"limit": "1"})
            await lifecycle.run(
                client.configuration,
                namespaces,
                look=look,
                left=left,
                stop=stop,
                interrupted=interrupted,
                may_write=client.may_write,
            )
        except errors.NotLeader:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, beginning anew is all there is to do
            why = f"{type(error).__name__}: {error}"[:500]
        else:
            why = "ended by itself"
        if stop.is_set():
            return
        pause = FIRST_PAUSE if loop.time() - begun > LASTING else pause
        note = "no GrpcTracing gets or loses its finalizer meanwhile"
        log.warning("finalizers wait", extra={"error": why, "retry_in": pause, "note": note})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
        pause = min(LONGEST_PAUSE, pause * 2)
