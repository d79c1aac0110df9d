"""Waits on conditions, and ports that nobody listens on."""

import socket
import time


def eventually(condition, within=20):
    """Return what *condition* gives as soon as that is true."""
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {within} s"
        time.sleep(0.01)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
