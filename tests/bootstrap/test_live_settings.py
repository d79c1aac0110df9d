"""settings.json of a running process: in effect for every call that begins two seconds after the file has changed, without a restart."""

import contextlib
import select
import time
from pathlib import Path

import grpc

from tests.bootstrap.live import Mounted
from tests.bootstrap.process import start, wait

PROMISED = 2.0
OUTER = {"service": "test.Relay", "method": "Out*"}


class Caller:
    """Calls Outer from outside, with a context of its own or none; returns the flags that came to Inner, "" for no context."""

    def __init__(self, port):
        self._outer = grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary("/test.Relay/Outer")

    def __call__(self, trace="", flags="01", request=b"x"):
        metadata = (("traceparent", f"00-{trace}-{'b' * 16}-{flags}"),) if trace else ()
        return self._outer(request, metadata=metadata, timeout=60).decode()[-2:]

    def until(self, flags):
        """Call until Inner gets *flags*: a call that begins when the time is up must see the change."""
        changed = time.monotonic()
        while True:
            began = time.monotonic()
            if (seen := self()) == flags:
                return
            assert began - changed < PROMISED, f"{seen} still {began - changed} s after the change"
            time.sleep(0.01)


def test_a_running_process_follows_the_file(receiver, tmp_path):
    mounted = Mounted(tmp_path)
    server = start(Path("relay.py"), payload=mounted.path, endpoint=receiver.endpoint, GRPC_ENABLE_FORK_SUPPORT="0")
    try:
        call = Caller(server.stdout.readline().strip())
        call.until("03")

        mounted.set(rules=[{**OUTER, "ratio": 0}])
        call.until("02")
        assert call("1" * 32) == "01"  # the caller's decision goes before the rule's

        mounted.put("{")
        while not select.select([server.stderr], [], [], 0.01)[0]:
            assert call() == "02"
        complaint = server.stderr.readline()
        assert call() == "02"

        mounted.set(enabled=False)
        call.until("")
        assert call("2" * 32) == ""

        mounted.set(rules=[{**OUTER, "drop": True}, {"ratio": 1}], sampler={"type": "parentbased_always_off"})
        call.until("02")
        assert call("3" * 32) == "01"
        with contextlib.suppress(grpc.RpcError):
            call("4" * 32, flags="00", request=b"fail")

        mounted.set(excludedServices=["test.Relay"])
        call.until("")
        assert call("5" * 32) == "01"

        mounted.set(messages="Events")
        call.until("03")
        call("6" * 32)
    finally:
        ended = wait(server)
    assert (ended.code, ended.err) == (0, "")
    assert complaint.startswith("grpctracing: settings.json: ")
    told = {
        trace: {(span.kind, span.name[-5:]): span for span in receiver.spans if span.trace == trace * 32}
        for trace in "123456"
    }
    whole = {("SERVER", "Outer"), ("CLIENT", "Inner"), ("SERVER", "Inner")}
    assert {trace: set(spans) for trace, spans in told.items()} == {
        "1": whole,
        "2": set(),
        "3": whole - {("SERVER", "Outer")},
        "4": set(),  # dropped, so not even kept for its error
        "5": set(),
        "6": whole,
    }
    assert told["3"]["CLIENT", "Inner"].parent == "b" * 16  # the chain has no hole
    assert told["6"]["SERVER", "Outer"].events
