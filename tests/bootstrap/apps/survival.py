"""What the applications of the survival tests share: one blocking call, several, and calls from a thread. `survival.call` reads the port from ECHO."""

import os
import sys
import threading

import grpc


def call(times=1, timeout=30):
    """Call the echo server *times* times over a channel of its own; return how many answers were right."""
    with grpc.insecure_channel("localhost:" + os.environ["ECHO"]) as channel:
        echo = channel.unary_unary("/test.Echo/UU")
        return sum(echo(b"a", timeout=timeout) == b"aa" for _ in range(times))


def say(*words):
    """Write one line at once: several processes share the output."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def threads(number, target):
    """Run *target* in so many threads; return them, started."""
    started = [threading.Thread(target=target) for _ in range(number)]
    for thread in started:
        thread.start()
    return started


def forked(work):
    """Run *work* in a forked child that leaves as Python does; return its process id."""
    child = os.fork()
    if not child:
        work()
        sys.exit(0)
    return child


def ended(children):
    """Wait for the forked *children*; return their statuses."""
    return [os.waitpid(child, 0)[1] for child in children]
