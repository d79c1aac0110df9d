"""Application servers whose requests make gRPC calls: all requests answered, the server ends as without us, and every worker's calls arrive."""

import http.client
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bootstrap.process import APPS, PAYLOAD, wait
from tests.bootstrap.survival.waiting import eventually, free_port

GUNICORN = ("--log-level", "critical", "--workers", "2", "--worker-tmp-dir", "/dev/shm", "--chdir", str(APPS))
GTHREAD = ("--worker-class", "gthread", "--threads", "3")
SERVERS = {
    "gunicorn sync": ("gunicorn", *GUNICORN, "survival_web:application"),
    "gunicorn gthread": ("gunicorn", *GUNICORN, *GTHREAD, "survival_web:application"),
    "gunicorn preload": ("gunicorn", *GUNICORN, "--preload", "survival_web:application"),
    "gunicorn gthread preload": ("gunicorn", *GUNICORN, *GTHREAD, "--preload", "survival_web:application"),
    "uvicorn": ("uvicorn", "--log-level", "critical", "--workers", "2", "--app-dir", str(APPS), "survival_web:asgi"),
}
REQUESTS = 40


def get(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def serve(starting, packages, server, echo, **options):
    """Start *server*, have it answer REQUESTS requests, end it; return how it ended and how many requests there were."""
    program, *args = SERVERS[server]
    port = free_port()
    bind = ("--bind", f"127.0.0.1:{port}") if program == "gunicorn" else ("--port", str(port))
    process = starting(Path(packages).parent / program, *args, *bind, python=packages, ECHO=echo, **options)
    answers = []

    def answered():
        assert process.poll() is None, process.communicate()
        with suppress(ConnectionError):
            answers.append(get(port))
        return answers

    eventually(answered, within=60)
    with ThreadPoolExecutor(4) as clients:
        answers += clients.map(lambda _: get(port), range(REQUESTS - 1))
    assert answers == [b"aa"] * REQUESTS
    process.send_signal(signal.SIGTERM)
    return wait(process)


@pytest.mark.parametrize("server", SERVERS)
def test_server(server, starting, packages, echo, receiver):
    with ThreadPoolExecutor(2) as both:
        plain = both.submit(serve, starting, packages, server, echo, payload=None)
        ours = serve(starting, packages, server, echo, payload=PAYLOAD, endpoint=receiver.endpoint)
        assert ours == plain.result()
    spans = receiver.wait_for(lambda spans: len(spans) >= REQUESTS and spans)
    assert len({span.id for span in spans}) == len({span.trace for span in spans}) == len(spans) == REQUESTS
