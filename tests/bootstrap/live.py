"""The payload in a folder of its own, beside a settings.json that is replaced as the kubelet replaces it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from tests.bootstrap.process import PAYLOAD

if TYPE_CHECKING:
    from pathlib import Path


class Mounted:
    """A copy of the payload below *folder*; `path` is what PYTHONPATH gets."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.path = folder / "payload"
        self._versions = 0
        shutil.copytree(PAYLOAD, self.path, ignore=shutil.ignore_patterns("__pycache__"))
        (self.path / "settings.json").symlink_to("..data/settings.json")
        self.set(**settings)

    def set(self, **settings: Any) -> None:
        """Put *settings* in effect."""
        self.put(json.dumps({"version": 1, **settings}))

    def put(self, text: str) -> None:
        """Swap in a new version of the file with *text* (kubelet: AtomicWriter)."""
        self._versions += 1
        version = self.path / f"..{self._versions}"
        version.mkdir()
        (version / "settings.json").write_text(text)
        fresh = self.path / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self.path / "..data")
