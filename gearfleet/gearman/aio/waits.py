"""Tasks that wait for requests, found in one step by the request that has news.

Thousands of jobs may be in flight on one connection, so nothing here looks at
all of them.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from gearfleet.gearman.session import Owed

    T = TypeVar("T")


class _Wait:
    """One task that waits until each of its items is done."""

    __slots__ = ("future", "is_done", "left")

    def __init__(
        self, future: asyncio.Future[None], is_done: Callable[[Owed], bool], left: set[Owed]
    ) -> None:
        self.future = future
        self.is_done = is_done
        self.left = left


class Waits:
    """All the tasks that wait for something of one connection."""

    def __init__(self) -> None:
        self._of: dict[Owed, list[_Wait]] = {}

    def __len__(self) -> int:
        return len(self._of)

    async def wait(
        self, items: Iterable[Owed], is_done: Callable[[Owed], bool], deadline: float | None
    ) -> None:
        """Return when every item is done, or at the deadline; news must go to `notify`."""
        left = {item for item in items if not is_done(item)}
        if not left:
            return
        wait = _Wait(asyncio.get_running_loop().create_future(), is_done, left)
        for item in left:
            self._of.setdefault(item, []).append(wait)
        try:
            await within(deadline, wait.future)
        except TimeoutError:
            pass
        finally:
            for item in wait.left:
                self._forget(item, wait)

    def notify(self, item: Owed) -> None:
        """Wake the tasks whose last item this was, if it is done."""
        for wait in tuple(self._of.get(item, ())):
            if wait.is_done(item):
                wait.left.discard(item)
                self._forget(item, wait)
                if not wait.left and not wait.future.done():
                    wait.future.set_result(None)

    def notify_all(self) -> None:
        """Give news of every item."""
        for item in tuple(self._of):
            self.notify(item)

    def _forget(self, item: Owed, wait: _Wait) -> None:
        waits = self._of[item]
        waits.remove(wait)
        if not waits:
            del self._of[item]


async def within(deadline: float | None, awaitable: Awaitable[T]) -> T:
    """Await something until a deadline of `time.monotonic`.

    Raises:
        TimeoutError: it has passed.
    """
    if deadline is None:
        return await awaitable
    async with asyncio.timeout(deadline - time.monotonic()):
        return await awaitable
