"""Keeps one trouble from filling the log: ten thousand objects that fail for the same reason are one message, not ten thousand."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BURST: Final = 20
SECONDS: Final = 60.0
TEXTS: Final = 1000
"""How many texts are remembered; messages of libraries may each name another object."""


@dataclass(slots=True)
class Window:
    """How often something was said since *begun*, and how often it was kept back."""

    begun: float
    said: int = 0
    kept_back: int = 0


@dataclass
class Flood:
    """A log filter: of warnings and errors with the same text at most BURST in SECONDS; the next one says how many were not told.

    What was done (level info) is always told. *clock* is monotonic, in seconds.
    """

    clock: Callable[[], float] = time.monotonic
    windows: dict[tuple[str, str], Window] = field(default_factory=lambda: defaultdict(lambda: Window(-SECONDS)))

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether *record* may be told."""
        if record.levelno < logging.WARNING:
            return True
        if len(self.windows) > TEXTS:
            self.windows.clear()
        window = self.windows[record.name, str(record.msg)[:60]]
        now = self.clock()
        if now - window.begun >= SECONDS:
            if window.kept_back:
                record.not_told = window.kept_back
            window.begun, window.said, window.kept_back = now, 0, 0
        window.said += 1
        window.kept_back += window.said > BURST
        return window.said <= BURST
