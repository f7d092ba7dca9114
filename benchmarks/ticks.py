"""The task of every tool: it only counts, in a file that the runner reads.

A process has a file of its own with three numbers: how many tasks it ran, and
the moments of the first and of the last. That costs a microsecond and needs no
server, so it hides nothing.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from pathlib import Path

#: The variable that names the folder of the files.
FOLDER = "BENCH_TICKS"
_CELLS = struct.Struct("3d")


class _Counter:
    """Writes one file; a forked child begins another."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._count, self._first = 0, 0.0
        self._file: mmap.mmap | None = None

    def __call__(self) -> None:
        now = time.monotonic()
        with self._lock:
            file = self._file or self._open(now)
            self._count += 1
            _CELLS.pack_into(file, 0, self._count, self._first, now)

    def _open(self, now: float) -> mmap.mmap:
        path = Path(os.environ[FOLDER], str(os.getpid()))
        path.write_bytes(bytes(_CELLS.size))
        with path.open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), _CELLS.size)
        self._first = now
        return self._file


_counter = _Counter()


def tick(value: object) -> None:
    """Do nothing, and be counted."""
    _counter()


def note_start() -> None:
    """Write how much CPU time this process has used until it serves, if somebody asks."""
    if FOLDER in os.environ:
        file = _started(Path(os.environ[FOLDER]), os.getpid())
        file.write_text(str(time.process_time()))


def read_start(folder: Path, pid: int) -> float | None:
    """Return what `note_start` has written in the process `pid`, if it has."""
    file = _started(folder, pid)
    return float(file.read_text()) if file.exists() else None


def _started(folder: Path, pid: int) -> Path:
    return folder.with_name(f"{folder.name}-{pid}")


def read(folder: Path) -> tuple[int, float]:
    """Return how many tasks were run, and the seconds between the first and the last."""
    files = [path.read_bytes() for path in folder.iterdir()]
    whole = [_CELLS.unpack(data) for data in files if len(data) == _CELLS.size]
    rows = [row for row in whole if row[0]]
    if not rows:
        return 0, 0.0
    counts, begun, ended = zip(*rows, strict=True)
    return int(sum(counts)), max(ended) - min(begun)
