"""One at a time: builds wait for each other, starts and stops of the node refuse each other."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def locked(path: Path, *, refuse: str = "") -> Iterator[None]:
    """Hold the lock file *path*. A second holder waits, or with *refuse* gets that message and the holder's process id.

    The kernel drops the lock when the holder dies, so a crash never leaves it behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refuse else 0))
        except BlockingIOError:
            file.seek(0)
            raise ClusterError(f"{refuse} (process {file.read().strip() or 'unknown'} holds {path})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
