"""`run`: the operator itself, until SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from typing import TYPE_CHECKING

from grpctracing import telemetry
from grpctracing.controllers import payload
from grpctracing.controllers.engine import Engine
from grpctracing.kube import config
from grpctracing.kube.client import Client, always
from grpctracing.kube.lease import Elector, Lost
from grpctracing.kube.neighbours import Neighbours, Outranked
from grpctracing.kube.resources import Key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes.aio.client import Configuration

    from grpctracing.settings import Settings

log = logging.getLogger(__name__)


async def run(settings: Settings, environ: Mapping[str, str]) -> int:
    """Run until told to stop; return 0, or 1 when a part broke or another process leads now (the pod is then restarted)."""
    telemetry.configure_logging(settings.log_level)
    flush = telemetry.configure_tracing(environ)
    # What was imported lives as long as the process; each page of a list would have the collector look through all of it.
    gc.freeze()
    files = payload.load(settings.payload_dir)
    configuration = await config.load(environ)
    elector, neighbours = candidates(configuration, settings)
    may_write = elector.leads if elector is not None else always
    client = Client(configuration, rate=settings.requests_per_second, may_write=may_write)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    where = settings.namespace_selector.text if settings.namespace_selector else list(settings.watch_namespaces) or "*"
    log.info("starting", extra={"namespaces": where, "payload_files": len(files)})
    try:
        await Engine(client, settings, files, elector, neighbours).run(stop)
    except (Lost, Outranked):
        return 1  # told already, where it was seen
    except Exception:
        log.exception("stopping after a failure")
        return 1
    finally:
        await client.close()
        if elector is not None:
            await elector.client.close()
        flush()
    log.info("stopped")
    return 0


def candidates(configuration: Configuration, settings: Settings) -> tuple[Elector | None, Neighbours | None]:
    """Return what decides with the other replicas of this operator, and with other operators, which of them works."""
    if settings.lease is None:
        return None, None
    client, key = Client(configuration), Key(*settings.lease)
    neighbours = Neighbours(client, key, settings.watch_namespaces, settings.namespace_selector)
    return Elector(client, key, settings.lease_seconds, notes=lambda: neighbours.claim.notes), neighbours
