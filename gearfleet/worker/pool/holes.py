"""Fills the holes of the heap, so that what the workers allocate lies together.

A process that has imported a project has freed a lot in between. Each worker
would put what it needs there, here a few bytes and there a few, and get a copy
of the whole page each time. SQLite alone, when it reads the schema of twenty
tables, asks for hundreds of small pieces: 1.6 MB more for each worker of the
example project.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

#: From the biggest, so that smaller pieces fill what is left of a big hole.
_SIZES = range(1024, 0, -16)


def fill_holes() -> None:
    """Take all that is free in the middle of the heap, for good.

    Call it in the main thread: others have their own (mallopt(3), M_ARENA_MAX).
    """
    malloc = ctypes.CDLL(None).malloc
    malloc.argtypes, malloc.restype = (ctypes.c_size_t,), ctypes.c_size_t
    heap = _heap()
    for size in _SIZES:
        while malloc(size) in heap:  # until there is no hole for it, and the heap has to grow
            pass


def _heap() -> range:
    """Return the addresses of the heap (proc(5), maps); none where there is no such thing."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return range(0)
    for line in maps.splitlines():
        if line.endswith("[heap]"):
            begin, end = line.split()[0].split("-")
            return range(int(begin, 16), int(end, 16))
    return range(0)
