"""Tell a story to an event loop, and hold that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any, TypeVar

from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    T = TypeVar("T")


def in_a_loop(story: Coroutine[Any, Any, T], *, timeout: float = 2 * DEADLINE) -> T:
    """Run a story to its end; fail if it hangs, leaves tasks, or something in the loop raised."""
    problems: list[dict[str, Any]] = []

    async def tell() -> T:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, about: problems.append(about)
        )
        async with asyncio.timeout(timeout):
            told = await story
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return told

    told = asyncio.run(tell())
    gc.collect()  # what was not closed warns now, and warnings are errors
    assert not problems
    return told


async def until(
    condition: Callable[[], object], what: str, *, timeout: float = DEADLINE, interval: float = 0.01
) -> None:
    """Wait for a condition while the event loop goes on."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"Waited {timeout:g} s for {what}"
        await asyncio.sleep(interval)
