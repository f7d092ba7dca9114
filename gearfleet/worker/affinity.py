"""`pin`: lets this worker run on some of the CPUs only, and the next one of its program on others.

For tasks that live in the CPU's caches, and to leave CPUs to somebody else. What a
task starts runs on the same ones.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger(__name__)


def pin(count: int, *, program: str, number: int) -> None:
    """Let this process run on `count` CPUs, those of the worker `number` of `program`.

    Where that cannot be, the log says so, and the worker runs on all of them.
    """
    if not hasattr(os, "sched_setaffinity"):
        _warn("this system does not let a process choose its CPUs")
        return
    usable = os.sched_getaffinity(0)
    chosen = share(usable, count, program=program, number=number)
    try:
        _move(chosen)
    except OSError as error:
        _warn(f"the system refuses it: {error.strerror}")
        return
    logger.info(
        "Runs on CPU %s, of %d that it may use (cpu_affinity)",
        ", ".join(map(str, sorted(chosen))),
        len(usable),
        extra={"action": "worker_pinned", "cpus": sorted(chosen)},
    )


def share(usable: Collection[int], count: int, *, program: str, number: int) -> set[int]:
    """Return the CPUs of one worker: they are dealt out in turn, `count` to each.

    By its name a program begins somewhere, or the first CPUs would have the first worker of every
    program. A program that runs again as it was has the same ones.
    """
    ordered = sorted(usable)
    first = (crc32(program.encode()) + number) * count
    return {ordered[(first + each) % len(ordered)] for each in range(count)}


def _move(cpus: set[int]) -> None:
    """Move every thread of this process: a call moves one, and the imports may have started some."""
    os.sched_setaffinity(0, cpus)
    threads = Path("/proc/self/task")
    for thread in threads.iterdir() if threads.exists() else ():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread.name), cpus)


def _warn(why: str) -> None:
    logger.warning(
        "cpu_affinity does nothing: %s; this worker runs on every CPU",
        why,
        extra={"action": "worker_not_pinned"},
    )
