"""Fills the holes of the memory, so that what the workers allocate lies together.

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

# Objects/obmalloc.c: blocks of one size lie in pools, behind a header. Not those of the
# sizes that our own numbers take meanwhile.
_SMALL_SIZES = range(48, 513, 16)
_POOL_BYTES, _HEADER_BYTES = 16 * 1024, 48
#: Of one size; where Python was told to use another allocator, it has no pools to be filled.
_MOST_BYTES = 2**20


def fill_holes() -> None:
    """Take all that is free between what is not, for good.

    Call it in the main thread: others have a heap of their own (mallopt(3), M_ARENA_MAX).
    """
    _fill_pools()
    _fill_heap()


def _fill_pools() -> None:
    malloc = ctypes.pythonapi.PyObject_Malloc
    malloc.argtypes, malloc.restype = (ctypes.c_size_t,), ctypes.c_size_t
    for size in _SMALL_SIZES:
        whole = (_POOL_BYTES - _HEADER_BYTES) // size
        last = in_a_row = 0
        for _ in range(_MOST_BYTES // size):
            before, last = last, malloc(size)
            in_a_row = in_a_row + 1 if last == before + size else 1
            if in_a_row == whole:  # it was empty, so there is no other with a place left
                break


def _fill_heap() -> None:
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
    # Several lines, all in a row: what a process has got since it was forked is not merged with
    # what it had before.
    parts = [line.split()[0].split("-") for line in maps.splitlines() if line.endswith("[heap]")]
    return range(int(parts[0][0], 16), int(parts[-1][1], 16)) if parts else range(0)
