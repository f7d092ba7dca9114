"""How a coroutine is told of its soft time limit: where it waits, like a cancellation."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any

from gearfleet.errors import SoftTimeLimitExceeded
from gearfleet.worker.soft_limit import is_in

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import FrameType

    from gearfleet.worker.soft_limit import SoftLimit


class Exceeded(SoftTimeLimitExceeded, asyncio.CancelledError):
    """What is raised in a coroutine.

    Task groups and `wait_for` end what they began when they hear a
    `CancelledError`; they pass it on, and the task sees `SoftTimeLimitExceeded`.
    """


class Limited:
    """One coroutine, on its way through the event loop of the worker."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], limit: SoftLimit) -> None:
        self._coroutine = coroutine
        self._limit = limit
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_asked = False
        self._is_cancelled = False

    async def run(self) -> Any:
        """Return what the coroutine returns."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            return await self
        except asyncio.CancelledError as error:
            if self._limit.due_at < inf:
                raise
            # Outside of the task it is what it says, and no cancellation.
            told = self._limit.told(SoftTimeLimitExceeded).with_traceback(error.__traceback__)
            raise told from error.__cause__

    def __await__(self) -> Generator[Any, Any, Any]:
        error: BaseException | None = None
        while True:
            try:
                waited = self._step(error)
            except StopIteration as end:
                return end.value
            try:
                error = None
                yield waited
            except BaseException as raised:
                error = self._translated(raised)

    def _step(self, error: BaseException | None) -> Any:
        return self._coroutine.send(None) if error is None else self._coroutine.throw(error)

    def exceed(self, frame: FrameType | None) -> None:
        """Ask the event loop to cancel; if it does not get its turn, raise in the coroutine."""
        task, loop = self._task, self._loop
        if task is None or loop is None or task.done():
            return
        if not self._is_asked:
            self._is_asked = True
            loop.call_soon_threadsafe(self._cancel)
        elif asyncio.current_task(loop) is task and not is_in(frame, "gearfleet.worker", "asyncio"):
            raise self._limit.told(Exceeded)

    def _cancel(self) -> None:
        if self._task is not None and self._limit.due_at < inf:
            self._is_cancelled = self._task.cancel()

    def _translated(self, raised: BaseException) -> BaseException:
        """Return the exception of the limit, if it is our cancellation that arrives."""
        if not (self._is_cancelled and isinstance(raised, asyncio.CancelledError)):
            return raised
        self._is_cancelled = False
        assert self._task is not None
        self._task.uncancel()
        return self._limit.told(Exceeded)
