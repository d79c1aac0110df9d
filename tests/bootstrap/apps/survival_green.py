"""Twenty calls by green threads, and a clock that ticks beside them: `survival_green.py gevent|eventlet`."""

import sys

if sys.argv[1] == "gevent":
    from gevent import monkey

    monkey.patch_all()
    import gevent
    import grpc.experimental.gevent

    grpc.experimental.gevent.init_gevent()
    spawn, pause, join = gevent.spawn, gevent.sleep, gevent.joinall
else:
    import eventlet

    eventlet.monkey_patch()
    spawn, pause = eventlet.spawn, eventlet.sleep

    def join(green):
        """Wait for all of the *green* threads."""
        return [thread.wait() for thread in green]


import time

import survival

right = []
longest = 0.0
over = False


def work():
    """Make five calls, each with room for the others."""
    for _ in range(5):
        right.append(survival.call())
        pause(0.01)


def tick():
    """Note the longest time for which nobody let us run."""
    global longest
    last = time.monotonic()
    while not over:
        pause(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()


clock = spawn(tick)
join([spawn(work) for _ in range(4)])
pause(1.2)  # an export comes and goes meanwhile
over = True
join([clock])
print(sum(right), "ticking" if longest < 1.0 else f"stood still for {longest:.1f} s")
