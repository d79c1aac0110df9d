"""Variables of the environment whose effect is only seen in a whole process."""

from pathlib import Path

import pytest

from tests.bootstrap.process import run, start, wait
from tests.bootstrap.test_calls import TRAFFIC
from tests.bootstrap.test_live_settings import Caller

PLAIN = Path("plain.py")


def test_an_excluded_service_is_not_told_and_hands_the_context_on(receiver):
    environ = {"OTEL_PYTHON_GRPC_EXCLUDED_SERVICES": "some.Other,test.Relay"}
    server = start(Path("relay.py"), endpoint=receiver.endpoint, **environ)
    try:
        call = Caller(server.stdout.readline().strip())
        assert (call(), call("1" * 32), call("1" * 32, flags="00")) == ("", "01", "00")
    finally:
        ended = wait(server)
    assert (ended.code, ended.err) == (0, "")
    assert receiver.spans == []


@pytest.mark.parametrize("stack", ["sync", "aio"])
@pytest.mark.parametrize(("names", "joined"), [("b3multi", True), ("b3,baggage", True), ("none", False)])
def test_propagators(receiver, names, joined, stack):
    run(PLAIN, "both", stack, endpoint=receiver.endpoint, OTEL_PROPAGATORS=names)
    outer, inner = receiver.one("CLIENT", "test.Echo/UU"), receiver.one("SERVER", "test.Echo/UU")
    assert (inner.trace == outer.trace, inner.parent == outer.id) == (joined, joined)


@pytest.mark.parametrize(
    ("disabled", "stack", "told"),
    [
        ("grpc_client", "sync", {"SERVER"}),
        ("grpc_server, requests", "sync", {"CLIENT"}),
        ("grpc_client,grpc_server", "aio", {"CLIENT", "SERVER"}),
        ("grpc_aio_client", "aio", {"SERVER"}),
        ("grpc_aio_server", "aio", {"CLIENT"}),
        ("*", "sync", set()),
    ],
)
def test_a_disabled_instrumentation_stays_out(receiver, disabled, stack, told):
    done = run(PLAIN, "both", stack, endpoint=receiver.endpoint, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    assert done.err == ""
    receiver.wait_for(lambda spans: len(spans) == len(TRAFFIC) * len(told))
    assert {span.kind for span in receiver.spans} == told
