"""The operator as its container starts it: a process with an environment, a port and an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.cluster import ControlPlane

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def environment_of(control_plane: ControlPlane, port: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "operator"),
        "KUBECONFIG": str(control_plane.kubeconfig),
        "GRPCTRACING_PAYLOAD_DIR": str(ROOT / "sidecar" / "payload"),
        "GRPCTRACING_HTTP_PORT": str(port),
        "GRPCTRACING_PROOF_SECONDS": "0",
    }


@contextlib.asynccontextmanager
async def started(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "grpctracing.cli", "run", env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ask(port: int, path: str) -> tuple[int, str]:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
            return response.status, await response.text()
    except aiohttp.ClientError as error:
        return 0, str(error)


def ask_now(port: int, path: str) -> int:
    """The status of the answer, for who has no event loop; 0 where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


async def answers(port: int, path: str) -> bool:
    return (await ask(port, path))[0] == 200
