"""The holes of a heap: where they are filled, nothing new lies between what is old."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, os
from gearfleet.worker.pool.holes import fill_holes

libc = ctypes.CDLL(None)
libc.malloc.argtypes, libc.malloc.restype = (ctypes.c_size_t,), ctypes.c_size_t
libc.free.argtypes = (ctypes.c_size_t,)
if {is_forked} and os.fork():
    os.wait()
    os._exit(0)
pieces = [libc.malloc(600) for _ in range(4000)]
for piece in pieces[::2]:
    libc.free(piece)
{fill}
between = range(min(pieces), max(pieces))
print([any(libc.malloc(size) in between for _ in range(1000)) for size in (24, 200, 600)], flush=True)
"""


def outcome(fill: str, *, is_forked: bool) -> str:
    command = [sys.executable, "-c", SCRIPT.format(fill=fill, is_forked=is_forked)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("is_forked", [False, True])
def test_filled_holes__are_used_no_more(*, is_forked: bool) -> None:
    assert outcome("fill_holes()", is_forked=is_forked) == "[False, False, False]"
    assert outcome("", is_forked=is_forked) == "[True, True, True]"
