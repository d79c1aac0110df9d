"""A token bucket: the operator never asks more of the API server than it was given."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class TokenBucket:
    """Lets *rate* requests per second through, *burst* at once after a quiet time."""

    rate: float
    burst: float
    clock: Callable[[], float] = field(default=lambda: asyncio.get_running_loop().time())
    tokens: float = field(init=False)
    updated: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    async def acquire(self) -> None:
        """Wait until one more request may be sent; callers are served in the order in which they came."""
        if wait := self.reserve():
            await asyncio.sleep(wait)

    def reserve(self) -> float:
        """Take a token, on credit if none is left; return the seconds until it is really there."""
        now = self.clock()
        if self.updated is not None:
            self.tokens = min(self.burst, self.tokens + (now - self.updated) * self.rate)
        self.updated = now
        self.tokens -= 1
        return max(0.0, -self.tokens / self.rate)
