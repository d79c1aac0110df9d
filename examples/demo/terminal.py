"""What the demo's output looks like: headings, steps with their time, colour where a person reads along."""

from __future__ import annotations

import io
import os
import shutil
import sys
import threading
import time
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
MINUTE = 60  # seconds
MANY_BYTES = 10_000  # from here on in KiB


def colourful() -> bool:
    """Whether to use colour: on a terminal, unless NO_COLOR (no-color.org) is set."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(text: str, style: str, *, colour: bool) -> str:
    """Return *text* in *style* (words of STYLES), or as it is."""
    if not colour or not text or not style:
        return text
    return f"\033[{';'.join(STYLES[word] for word in style.split())}m{text}\033[0m"


def width() -> int:
    """Columns to use: the terminal's, between 80 and 160."""
    return min(max(shutil.get_terminal_size((140, 40)).columns, 80), 160)


def shorten(text: str, columns: int) -> str:
    """Return *text* if it fits, else its beginning and an ellipsis."""
    return text if len(text) <= columns else f"{text[: columns - 1]}…"


def duration(seconds: float) -> str:
    """Return *seconds* for reading: `820 µs`, `12.3 ms`, `1.20 s`, `2 min 5 s`."""
    for factor, form, unit in ((1e6, ".0f", "µs"), (1e3, ".1f", "ms"), (1, ".2f", "s")):
        if seconds * factor < (MINUTE if unit == "s" else 1000):
            return f"{seconds * factor:{form}} {unit}"
    return f"{int(seconds // MINUTE)} min {int(seconds % MINUTE)} s"


def size(count: int) -> str:
    """Return *count* bytes for reading."""
    return f"{count} B" if count < MANY_BYTES else f"{count / 1024:.1f} KiB"


class Terminal:
    """Prints the demo's story."""

    def __init__(self) -> None:
        self.colour = colourful()
        self.live = sys.stdout.isatty()  # a line may be written over
        self._chapter = 0

    def say(self, text: str = "", style: str = "") -> None:
        print(paint(text, style, colour=self.colour), flush=True)

    def chapter(self, title: str) -> None:
        """Begin a numbered part of the story."""
        self._chapter += 1
        self.say(f"\n{self._chapter}. {title}", "bold")

    def command(self, line: str) -> None:
        """Show a command as a user would type it."""
        self.say(f"   $ {line}", "cyan")

    def block(self, text: str) -> None:
        """Show *text* as it is, indented."""
        for line in text.rstrip().splitlines():
            print(f"   {line}", flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show that *title* runs, what it says while it does, and how long it took."""
        step = Step(self, title)
        try:
            yield step
        except BaseException:
            step.end(failed=True)
            raise
        step.end(failed=False)


class Step:
    """One line that tells what runs and for how long; `note` tells how far it is."""

    def __init__(self, terminal: Terminal, title: str) -> None:
        self.terminal, self.title = terminal, title
        self.out = sys.stdout
        self.started = time.monotonic()
        self._note = ""
        self._ended = threading.Event()
        if terminal.live:
            threading.Thread(target=self._tick, daemon=True).start()
        else:
            terminal.say(f"   … {title}")

    def note(self, text: str) -> None:
        """Tell how far it is."""
        if not self.terminal.live and text != self._note:
            print(f"     {text}", file=self.out, flush=True)
        self._note = text

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Take what is printed meanwhile as notes."""
        with redirect_stdout(_Notes(self)):
            yield

    def end(self, *, failed: bool) -> None:
        """Write the line's last form."""
        self._ended.set()
        mark = (
            paint("✗", "red", colour=self.terminal.colour)
            if failed
            else paint("✓", "green", colour=self.terminal.colour)
        )
        took = paint(duration(time.monotonic() - self.started), "dim", colour=self.terminal.colour)
        clear = "\r\033[K" if self.terminal.live else ""
        print(f"{clear}   {mark} {self.title}{' failed' if failed else ''}  {took}", file=self.out, flush=True)

    def _tick(self) -> None:
        while not self._ended.wait(0.2):
            line = f"   … {self.title}  {duration(time.monotonic() - self.started)}  {self._note}"
            print(f"\r\033[K{shorten(line, width() - 1)}", end="", file=self.out, flush=True)


class _Notes(io.TextIOBase):
    """A stream whose lines become notes of a step."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def write(self, text: str) -> int:
        if text.strip():
            self._step.note(text.strip())
        return len(text)
