"""Things to do later, without a clock: the owner says what time it is."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Cancelled timers stay in the heap until they outnumber the live ones; asyncio
#: begins to sweep at 100 as well.
_SWEEP_FROM = 100


class Timer:
    """One thing to do once, unless it is cancelled before."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action


class Timers:
    """A heap of timers; a cancelled one costs nothing that grows."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = count()
        self._cancelled = 0

    def __len__(self) -> int:
        """Return how many timers wait, cancelled ones not yet swept included."""
        return len(self._heap)

    def schedule(self, when: float, action: Callable[[], None]) -> Timer:
        """Do `action` in the first `run_due` at or after `when`."""
        timer = Timer(action)
        heapq.heappush(self._heap, (when, next(self._sequence), timer))
        return timer

    def cancel(self, timer: Timer) -> None:
        """Do nothing for `timer`, which may be past or cancelled already."""
        if timer.action is None:
            return
        timer.action = None
        self._cancelled += 1
        if self._cancelled > max(_SWEEP_FROM, len(self._heap) // 2):
            self._sweep()

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].action is not None]
        heapq.heapify(self._heap)
        self._cancelled = 0

    @property
    def next_due(self) -> float | None:
        """When `run_due` has something to do, or None."""
        while self._heap and self._heap[0][2].action is None:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        return self._heap[0][0] if self._heap else None

    def run_due(self, now: float) -> None:
        """Do everything that is due at `now`, the earliest first."""
        while (due := self.next_due) is not None and due <= now:
            timer = heapq.heappop(self._heap)[2]
            action, timer.action = timer.action, None
            if action is not None:
                action()
