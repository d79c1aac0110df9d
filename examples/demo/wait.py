"""Waiting on a condition: the only way to wait here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class NotInTimeError(AssertionError):
    """What was waited for did not happen in time."""


def eventually(
    condition: Callable[[], T],
    *,
    within: float,
    what: str,
    every: float = 0.5,
    tell: Callable[[], str] | None = None,
    errors: tuple[type[Exception], ...] = (),
) -> T:
    """Return the first truthy answer of *condition*; raise NotInTimeError with *what* after *within* seconds.

    An AssertionError of *condition*, and those named in *errors*, mean "not yet"; the last one is told at the end, as is what *tell* returns.
    """
    deadline = time.monotonic() + within
    while True:
        last: object = None
        try:
            answer = condition()
            if answer:
                return answer
            last = answer
        except (AssertionError, *errors) as error:
            last = error
        if time.monotonic() > deadline:
            seen = f"; {tell()}" if tell else ""
            raise NotInTimeError(f"not within {within:.0f} s: {what}; last seen: {last}{seen}")
        time.sleep(every)
