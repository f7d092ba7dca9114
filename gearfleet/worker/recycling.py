"""When a worker ends in order to be started afresh: after so many jobs, so long, or so much memory.

It looks between two jobs, and drains when one of its limits is reached: nothing
is interrupted for it. So that the workers of a fleet, which were started
together, do not end together, each takes its limits by up to a tenth lower; by
how much is drawn once.
"""

from __future__ import annotations

import random
import time
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gearfleet.errors import ConfigError
from gearfleet.worker import procfs

if TYPE_CHECKING:
    from collections.abc import Callable

#: The lowest share of its limits that a worker may draw.
LOWEST_SHARE = 0.9
#: Seconds between two looks at the memory, and between two looks while there are no jobs.
LOOK_EVERY = 1.0


class Recycling(NamedTuple):
    """The limits of a worker; 0 is no limit.

    Attributes:
        max_jobs: that it runs, however they end.
        max_lifetime: seconds from its start.
        max_rss: bytes of memory.
        max_idle: seconds without a job.
    """

    max_jobs: int = 0
    max_lifetime: float = 0.0
    max_rss: int = 0
    max_idle: float = 0.0

    @property
    def is_needed(self) -> bool:
        """Whether there is a limit."""
        return bool(self.max_jobs or self.max_lifetime or self.max_rss or self.max_idle)


class Ladder(Protocol):
    """What the recycler needs of the `StopLadder`."""

    @property
    def in_hand(self) -> int: ...
    def recycle(self, reason: str) -> bool: ...


class Recycler:
    """Looks whether one worker has reached a limit."""

    def __init__(
        self,
        limits: Recycling,
        ladder: Ladder,
        *,
        clock: Callable[[], float] = time.monotonic,
        rss_bytes: Callable[[], int] = procfs.rss_bytes,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Start the clocks; at a limit, tell `ladder`.

        Raises:
            ConfigError: there is a limit of memory, which this system does not tell.
        """
        if limits.max_rss and not rss_bytes():
            raise ConfigError("max_rss needs /proc/self/statm, which this system does not have")
        share = draw(LOWEST_SHARE, 1.0)
        self._max_jobs = ceil(limits.max_jobs * share)
        self._max_lifetime = limits.max_lifetime * share
        self._max_rss = limits.max_rss * share
        self._max_idle = limits.max_idle * share
        self._ladder = ladder
        self._clock = clock
        self._rss_bytes = rss_bytes
        self._jobs = 0
        self._began = self._idle_since = self._looks_at = clock()

    def after_job(self) -> bool:
        """Count a job; return whether the worker goes on."""
        self._jobs += 1
        self._idle_since = self._clock()
        return self._goes_on()

    def after_poll(self) -> bool:
        """Return whether a worker goes on that has just waited, or looked, for a job."""
        return self._goes_on()

    def _goes_on(self) -> bool:
        reason = self._reason(self._clock())
        return not (reason and self._ladder.recycle(reason))

    def _reason(self, now: float) -> str:
        if self._max_jobs and self._jobs >= self._max_jobs:
            return f"max_jobs: {self._jobs} jobs done"
        if self._max_lifetime and now - self._began >= self._max_lifetime:
            return f"max_lifetime: up for {now - self._began:.0f} s"
        if self._max_rss and now >= self._looks_at:
            self._looks_at = now + LOOK_EVERY
            if (rss := self._rss_bytes()) >= self._max_rss:
                return f"max_rss: {rss / 2**20:.0f} MB in memory"
        is_idle = self._max_idle and now - self._idle_since >= self._max_idle
        if is_idle and not self._ladder.in_hand:
            return f"max_idle: no job for {now - self._idle_since:.0f} s"
        return ""
