"""Trace and span ids from one cheap source.

A Mersenne Twister seeded by the kernel: ids need to be unique and uniform (the ratio sampler reads their low bits), not secret. The C class
behind `random.Random` is used, because importing `random` pulls in hashlib and costs 5 ms at the application's start.
"""

from _random import Random
from os import urandom

_source = Random()

bits = _source.getrandbits
"""bits(k) -> int with k random bits. One C call, so atomic between threads; costs 0.1 µs. May be 0, which is no valid id: callers add `or 1`."""


def reseed():
    """Seed from the kernel: at import, and in a forked child, which must not repeat its parent's ids."""
    _source.seed(int.from_bytes(urandom(32), "big"))


reseed()
