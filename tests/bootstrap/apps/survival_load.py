"""Load on demand: for each line `SECONDS THREADS` from stdin, that long and by so many threads; answers with the number of calls."""

import os
import sys
import threading
import time

import grpc
from survival import threads


def load(channel, seconds):
    """Call both kinds in turn for so many *seconds*; return the number of calls."""
    unary, stream = channel.unary_unary("/test.Echo/UU"), channel.stream_stream("/test.Echo/SS")
    calls, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(20):
            assert unary(b"abc") == b"abcabc"
        assert list(stream(iter([b"a", b"b"]))) == [b"a", b"b"]
        calls += 21
    return calls


def main():
    """Serve the orders of stdin until it ends."""
    made = []
    lock = threading.Lock()
    with grpc.insecure_channel("localhost:" + os.environ["ECHO"]) as channel:

        def work(seconds):
            calls = load(channel, seconds)
            with lock:
                made.append(calls)

        for order in sys.stdin:
            seconds, number = map(float, order.split())
            made.clear()
            for thread in threads(int(number), lambda seconds=seconds: work(seconds)):
                thread.join()
            print(sum(made), flush=True)


main()
