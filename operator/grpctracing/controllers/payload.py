"""The bootstrap as the ConfigMap carries it: every file of the payload folder under a flat key."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Final

from grpctracing.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STUB: Final = "sitecustomize.py"
PACKAGE: Final = "_grpctracing"
LARGEST: Final = 900_000
"""Bytes: the API server refuses a ConfigMap above 1 MiB, and etcd a little earlier."""


def load(folder: Path) -> dict[str, str]:
    """Return flat key → text: `sitecustomize.py`, and `_grpctracing.<module>.py` per module. Raises SettingsError."""
    stub = folder / STUB
    modules = sorted((folder / PACKAGE).glob("*.py"))
    if not stub.is_file() or not modules:
        raise SettingsError(f'GRPCTRACING_PAYLOAD_DIR: "{folder}" has no {STUB} with a folder {PACKAGE} beside it')
    files = {STUB: stub, **{f"{PACKAGE}.{module.name}": module for module in modules}}
    payload = {
        key: sys.intern(file.read_text("utf-8")) for key, file in files.items()
    }  # as the copies that are watched
    if (size := sum(len(text.encode()) for text in payload.values())) > LARGEST:
        raise SettingsError(f"the payload has {size} bytes; a ConfigMap holds {LARGEST}")
    return payload


def digest(payload: Mapping[str, str]) -> str:
    """Return what tells one release of the bootstrap from another."""
    return hashlib.sha256(json.dumps(dict(payload), sort_keys=True).encode()).hexdigest()[:16]
