"""Where the harness keeps things: what is expensive in the cache, what runs in the state directory, nothing in the checkout."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# One per machine, whatever the checkout or the user's cache: two full nodes cannot share kernel tables.
STATE = Path("/var/lib/grpctracing-cluster")
RUN_LOCK = Path("/run/lock/grpctracing-cluster.lock")


def cache() -> Path:
    """Return the cache directory, made if needed."""
    named = os.environ.get("GRPCTRACING_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = Path(named) if named else base / "grpctracing"
    path.mkdir(parents=True, exist_ok=True)
    return path


def solo_control_plane() -> Path:
    """Return the home of the control plane that `up --control-plane-only` leaves running."""
    return cache() / "control-plane"
