"""Where every thread, and every asyncio task, of this process is: the answer to SIGUSR1.

Nothing is stopped for it. Event loops are found in the stacks of the threads
that run them, so those that a task makes for itself are shown too.
"""

from __future__ import annotations

import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from types import FrameType


def report() -> str:
    """Return the stacks of all threads but this one, the main thread first, and of their tasks."""
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    # At once: the threads go on meanwhile, and a frame that has ended knows of no outer one.
    loops = {thread: list(_loops_in(frame)) for thread, frame in frames.items()}
    threads = sorted(
        (thread for thread in threading.enumerate() if thread.ident in frames),
        key=lambda thread: thread is not threading.main_thread(),
    )
    parts = []
    for thread in threads:
        number = thread.ident or 0
        parts.append(f"Thread {thread.name}:\n{_text(traceback.extract_stack(frames[number]))}")
        parts += [part for loop in loops[number] for part in _tasks_of(loop)]
    return "\n".join(parts)


def _loops_in(frame: FrameType | None) -> Iterator[asyncio.AbstractEventLoop]:
    asyncio = sys.modules.get("asyncio")
    while asyncio is not None and frame is not None:
        if frame.f_code.co_name == "run_forever":
            loop = frame.f_locals.get("self")
            if isinstance(loop, asyncio.AbstractEventLoop):
                yield loop
        frame = frame.f_back


def _tasks_of(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    asyncio = sys.modules["asyncio"]
    for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()):
        yield f"Task {task.get_name()}:\n{_text(_stack_of(task.get_coro()))}"


def _stack_of(coroutine: Any) -> traceback.StackSummary:
    """Return where a coroutine waits, and what it waits for there, and so on."""
    lines: list[tuple[FrameType, int]] = []
    while frame := getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None):
        lines.append((frame, frame.f_lineno))
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return traceback.StackSummary.extract(iter(lines))


def _text(stack: traceback.StackSummary) -> str:
    return "".join(stack.format()).rstrip("\n")
