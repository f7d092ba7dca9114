"""A board for somebody who can neither wait nor be harmed by it: supervisord.

`boards` maps the file, and tries again while a job is being written. A file that
is cut short while it is mapped ends the reader with SIGBUS, and what is no file
may block it: so here it is read once, and only the bytes that a worker writes in
one store count.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.worker import procfs
from gearfleet.worker.boards import (
    ABOUT,
    FOLDER,
    HAND_BYTES,
    HANDS_AT,
    MAGIC,
    REGISTERED_AT,
    RUNNING,
    VERSION,
    About,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Of a worker with three hundred threads; whether more of them are busy matters to nobody.
MOST_BYTES = HANDS_AT + 300 * HAND_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What the workers behind one process do.

    Attributes:
        is_busy: whether one has a job in hand.
        is_registered: whether a job server knows, or has known, each of them.
    """

    is_busy: bool
    is_registered: bool


def glance(run_dir: Path, process: str, pid: int) -> Glance | None:
    """Return what the worker `pid`, or the pool, in the place `process` does; None for no worker.

    Args:
        run_dir: of the worker.
        process: the name that supervisord gives the process.
        pid: of it.
    """
    found = [board for board in _boards(run_dir / FOLDER, process, pid) if board is not None]
    if not found:
        return None
    return Glance(
        is_busy=any(board.is_busy for board in found),
        is_registered=all(board.is_registered for board in found),
    )


def _boards(folder: Path, process: str, pid: int) -> Iterator[Glance | None]:
    alone = About(program="", slot=process, pid=pid, ticks=procfs.start_ticks(pid))
    path = folder / alone.file_name
    if (single := maybe_glance(path)) is not None:
        yield single
        return
    member = re.compile(re.escape(alone.place_name) + r"-\d+\.(?P<pid>\d+)\.\d+")
    for name in _names(folder):
        match = member.fullmatch(name)
        if match is not None and procfs.parent_of(int(match["pid"])) == pid:
            yield maybe_glance(folder / name)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - a fifth of the time of Path objects
    except OSError:
        return []


def maybe_glance(path: Path) -> Glance | None:
    """Return what one board says; None if it is none."""
    try:
        board = _content(path)
        magic, version, hands, *_ = ABOUT.unpack_from(board)
    except (OSError, struct.error):
        return None
    if (magic, version) != (MAGIC, VERSION) or len(board) < HANDS_AT:
        return None
    holds = board[HANDS_AT + 1 :: HAND_BYTES][:hands]
    return Glance(is_busy=RUNNING in holds, is_registered=bool(board[REGISTERED_AT]))


def _content(path: Path) -> bytes:
    # Opening a pipe would wait for its writer, and reading a device for ever.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.pread(file, MOST_BYTES, 0)
    finally:
        os.close(file)
