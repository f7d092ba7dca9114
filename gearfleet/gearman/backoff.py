"""How long to leave a job server alone after it failed.

The delay doubles from 0.1 to 30 seconds, and each one is drawn at random up to
that ("full jitter"), so that the thousand workers of a restarted job server do
not all come back in the same millisecond (reference "gearmand", section 10).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST = 0.1
LONGEST = 30.0


class Backoff:
    """The growing delay between attempts to reach one job server."""

    __slots__ = ("_ceiling", "_draw", "_longest", "_shortest", "failures")

    def __init__(
        self,
        *,
        shortest: float = SHORTEST,
        longest: float = LONGEST,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._shortest = shortest
        self._longest = longest
        self._draw = draw
        self._ceiling = shortest
        self.failures = 0

    def failed(self) -> float:
        """Return the seconds to wait after one more failure."""
        self.failures += 1
        delay = max(self._shortest, self._draw(0.0, self._ceiling))
        self._ceiling = min(self._ceiling * 2, self._longest)
        return delay

    def succeeded(self) -> None:
        """Begin again with the shortest delay."""
        self._ceiling = self._shortest
        self.failures = 0
