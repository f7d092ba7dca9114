"""`SoftLimit`: raises `SoftTimeLimitExceeded` in a task that runs too long.

Strategy. The stop ladder's thread has the clock: when the time is over, it sends
the main thread the signal that also interrupts, again and again until the limit
has been told. The handler decides, in the main thread, so that what it decides
on cannot change meanwhile: it raises if the job is still in its task, and the
code that was interrupted is not the worker's own. A coroutine hears it where it
waits; only if it does not wait, in the middle of what it does.
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, Self

from gearfleet.errors import SoftTimeLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import FrameType


class Supervised(Protocol):
    """A coroutine to which the limit is told in another way than by raising."""

    def exceed(self, frame: FrameType | None) -> None: ...


class _NotYet:
    """A coroutine that is not running: it is told when it is."""

    def exceed(self, frame: FrameType | None) -> None:
        """Let the ladder call again."""


_NOT_YET = _NotYet()


class SoftLimit:
    """The time of one job; enter it to start the clock.

    Attributes:
        seconds: that the task has.
        due_at: when that is over, by `time.monotonic`; never, once it was told.
    """

    __slots__ = ("_supervised", "_watch", "due_at", "seconds")

    def __init__(self, seconds: float, watch: Callable[[SoftLimit | None], None]) -> None:
        """Let `watch` call `tell_if_due` in the main thread when the time is over; None ends it."""
        self.seconds = seconds
        self.due_at = inf
        self._watch = watch
        self._supervised: Supervised | None = None

    def __enter__(self) -> Self:
        self.due_at = time.monotonic() + self.seconds
        self._watch(self)
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._watch(None)

    def supervise(self, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """Return a coroutine that does what `coroutine` does, and that is told of the limit."""
        self._supervised = (
            _NOT_YET  # from now on nothing is raised here, and not in what is imported
        )
        from gearfleet.worker.coroutines import Limited  # asyncio is for those who use it

        self._supervised = limited = Limited(coroutine, self)
        return limited.run()

    def tell_if_due(self, frame: FrameType | None) -> None:
        """Raise in the task whose `frame` was interrupted, or tell the coroutine, if it is time."""
        if time.monotonic() < self.due_at:
            return
        if self._supervised is not None:
            self._supervised.exceed(frame)
        elif not is_in(frame, "gearfleet.worker"):
            raise self.told(SoftTimeLimitExceeded)

    def tell_coroutine(self) -> bool:
        """Tell the coroutine, from another thread; return False if there is none."""
        if self._supervised is None:
            return False
        self._supervised.exceed(None)
        return True

    def told(self, kind: type[SoftTimeLimitExceeded]) -> SoftTimeLimitExceeded:
        """Return the exception that tells of the limit; no other follows."""
        self.due_at = inf
        return kind(f"The job has not ended within its soft time limit of {self.seconds:g} s")


def is_in(frame: FrameType | None, *packages: str) -> bool:
    """Return whether `frame` is code of a module in one of `packages`."""
    module = "" if frame is None else f"{frame.f_globals.get('__name__', '')}."
    return any(module.startswith(f"{package}.") for package in packages)
