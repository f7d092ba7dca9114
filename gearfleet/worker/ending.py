"""The end of a worker's process, after its last job and its shutdown hooks.

Python waits, without limit, for the threads, pools and processes that tasks
left running, and for what they registered with `atexit`. Here is the limit.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

logger = logging.getLogger(__name__)

#: Seconds for what comes after threads and `atexit`: the end of the interpreter itself.
_LAST_CALL = 3.0
#: With which this process ends if it is forked; empty in one that clears up.
_codes: list[int] = []


def end_within(seconds: float) -> None:
    """End this process hard if it does not end by itself within `seconds`; call it last.

    The processes that `multiprocessing` began for tasks are ended with it.
    """
    if left := _left():
        logger.warning(
            "Waiting up to %g s for what tasks left running: %s",
            seconds,
            ", ".join(left),
            extra={"action": "worker_waits", "left": left},
        )
    threading.Thread(target=_end_hard, args=(seconds,), name="last call", daemon=True).start()
    # The thread stops with the interpreter; this timer, in C, does not.
    faulthandler.dump_traceback_later(seconds + _LAST_CALL, exit=True, file=2)


def end_without_clearing_up(code: int) -> None:
    """Have this process end with `code` when its `atexit` functions have been called.

    For the forked: Python would take all modules apart, and so give each worker of a pool a
    copy of all the memory that it shares, at the very moment when new ones need theirs.
    """
    _codes.append(code)


def skip_clearing_up() -> None:
    """End this process if `end_without_clearing_up` wants it; call it after everything else."""
    if not _codes:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # a task may have closed or deleted it
            stream.flush()
    os._exit(_codes[-1])


def _end_hard(seconds: float) -> None:
    time.sleep(seconds)
    logger.error(
        "Not ended within %g s: ending hard, without %s",
        seconds,
        ", ".join(_left()) or "the rest of the atexit functions",
        extra={"action": "worker_ended_hard"},
    )
    for child in _children():
        child.kill()
    faulthandler.dump_traceback(file=2)
    os._exit(1)


def _left() -> list[str]:
    """Return the names of what the end of the interpreter waits for."""
    passing = (threading.main_thread(), threading.current_thread())
    threads = [t for t in threading.enumerate() if t not in passing and not t.daemon]
    return [
        *(f"thread '{thread.name}'" for thread in threads),
        *(f"process {child.pid}" for child in _children()),
    ]


def _children() -> list[BaseProcess]:
    multiprocessing = sys.modules.get("multiprocessing")
    return multiprocessing.active_children() if multiprocessing else []
