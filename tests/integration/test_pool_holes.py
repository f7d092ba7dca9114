"""The holes of a heap: where they are filled, nothing new lies between what is old."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import ctypes
from gearfleet.worker.pool.holes import _heap, fill_holes

libc = ctypes.CDLL(None)
libc.malloc.argtypes, libc.malloc.restype = (ctypes.c_size_t,), ctypes.c_size_t
libc.free.argtypes = (ctypes.c_size_t,)
pieces = [libc.malloc(600) for _ in range(4000)]
for piece in pieces[::2]:
    libc.free(piece)
before = _heap()
{fill}
print([libc.malloc(size) in before for size in (24, 200, 600)])
"""


def outcome(fill: str) -> str:
    command = [sys.executable, "-c", SCRIPT.format(fill=fill)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_filled_holes__are_used_no_more() -> None:
    assert outcome("fill_holes()") == "[False, False, False]"
    assert outcome("") == "[True, True, True]"
