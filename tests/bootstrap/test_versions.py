"""The oldest and a middle grpcio on other interpreters; `test_start` and the rest run on the newest."""

from pathlib import Path

import pytest

from tests.bootstrap import interpreters
from tests.bootstrap.process import run
from tests.bootstrap.test_calls import TRAFFIC

COMBINATIONS = [("3.8", "1.48.2"), ("3.12", "1.62.3")]


@pytest.mark.parametrize(("python", "grpcio"), COMBINATIONS)
@pytest.mark.parametrize("stack", ["sync", "aio"])
def test_calls(receiver, python, grpcio, stack):
    environment = interpreters.environment(interpreters.needed(python), f"grpcio=={grpcio}")
    plain = run(Path("plain.py"), "both", stack, python=environment, payload=None)
    ended = run(
        Path("plain.py"),
        "both",
        stack,
        python=environment,
        endpoint=receiver.endpoint,
        flags=("-W", "error::DeprecationWarning:_grpctracing"),
    )
    assert ended == plain
    for kind, (sent, received) in TRAFFIC.items():
        outer, inner = receiver.one("CLIENT", f"test.Echo/{kind}"), receiver.one("SERVER", f"test.Echo/{kind}")
        assert inner.parent == outer.id
        for span, (out, back) in ((outer, (sent, received)), (inner, (received, sent))):
            assert (span.attributes["grpctracing.messages.sent"], span.attributes["grpctracing.bytes.sent"]) == out
            assert (
                span.attributes["grpctracing.messages.received"],
                span.attributes["grpctracing.bytes.received"],
            ) == back
        assert outer.attributes["server.address"] == "localhost"
