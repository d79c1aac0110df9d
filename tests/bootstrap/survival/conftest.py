"""What the survival tests share: a server to call, a Collector that hangs, and the packages that applications are run by."""

import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bootstrap import interpreters
from tests.bootstrap.process import start

PACKAGES = (
    "grpcio==1.85.1",
    "gunicorn==27.0.1",
    "uvicorn==0.54.0",
    "uvloop==0.23.0",
    "gevent==26.9.0",
    "eventlet==0.41.3",
    "freezegun==1.5.5",
)


@pytest.fixture(scope="session")
def echo():
    """Return the port of an echo server that is not traced, in a process of its own."""
    process = start(Path("plain.py"), "serve", "sync", payload=None)
    yield process.stdout.readline().strip()
    process.communicate(timeout=60)


@pytest.fixture(scope="session")
def packages():
    """Return an interpreter that has application servers, green threads and a frozen clock."""
    return interpreters.environment(sys.executable, *PACKAGES)


@pytest.fixture(scope="session")
def silent():
    """Return the address of a Collector that takes every connection and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        taken = []

        def take():
            with suppress(OSError):  # closed: the tests are over
                while True:
                    taken.append(listener.accept()[0])

        thread = threading.Thread(target=take)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in taken:
            connection.close()


@pytest.fixture
def starting():
    """Return `start` for processes that must not outlive the test."""
    started = []

    def begin(*args, **options):
        started.append(start(*args, **options))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        with suppress(ValueError):  # communicated already
            process.communicate()
