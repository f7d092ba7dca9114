"""`Scoreboard`: a worker tells everybody on its host what it does.

    board = Scoreboard.open(run_dir, About(program="worker_bar"))
    board.state("idle")
    hand = board.begin("shop.resize", "H:web1:7", b"0f3e.1", started=time.time())
    hand.end(DONE)
    board.close("SIGTERM")

Strategy. The file (see `boards`) is mapped into memory, so that to write costs
no system call, and what is written outlives the process, however that ends. A
job that begins is one `pack_into`; one that ends is a single byte.

No job is ever hurt. The blocks of the file are taken when it is made: a disk
that is full then leaves the worker without a board, and one that is full later
does no harm. It stays when the worker has ended: the next one of its slot says
why, and removes it.
"""

from __future__ import annotations

import logging
import mmap
import os
import time
from typing import TYPE_CHECKING

from gearfleet.worker import procfs
from gearfleet.worker.boards import (
    DONE,
    END,
    END_AT,
    FAILED,
    FOLDER,
    GIVEN_BACK,
    HAND_BYTES,
    HANDS_AT,
    JOB,
    NAMES,
    REGISTERED_AT,
    RSS,
    RSS_AT,
    RUNNING,
    STATE_AT,
    STATES,
    About,
    BoardEntry,
    JobInHand,
    encoded,
    read_boards,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "DONE",
    "FAILED",
    "GIVEN_BACK",
    "About",
    "BoardEntry",
    "Hand",
    "JobInHand",
    "Scoreboard",
    "read_boards",
]

logger = logging.getLogger(__name__)

#: Seconds between two looks at the memory of the process.
_RSS_EVERY = 2.0
_DRAINING = STATES.index("draining")
_pack_job = JOB.pack_into


class Hand:
    """The place of one job on a board.

    Attributes:
        number: of the place.
        at: where it is in the file.
        last: counter that it was last framed with.
        counts: of its jobs, by how they ended.
    """

    __slots__ = ("_free", "_map", "at", "counts", "last", "number")

    def __init__(self, mapped: mmap.mmap, number: int, free: list[Hand]) -> None:
        """Be the one with this number on `mapped`; go to `free` when there is no job any more."""
        self.number = number
        self.at = HANDS_AT + number * HAND_BYTES
        self.last = 0
        self.counts = [0] * 5
        self._map = mapped
        self._free = free
        free.append(self)

    def end(self, how: int) -> None:
        """Show no job any more; `how` it ended is DONE, FAILED or GIVEN_BACK."""
        self._map[self.at + 1] = how
        self.counts[how] += 1
        self._free.append(self)


class Scoreboard:
    """The board of this process."""

    def __init__(self, mapped: mmap.mmap, path: Path | None, hands: int) -> None:
        """Write to `mapped`, the file at `path`; use `open`."""
        self._map = mapped
        self._path = path
        self._free: list[Hand] = []
        self._rss_due = 0.0
        self._names: dict[str, bytes] = {}
        for number in reversed(range(hands)):
            Hand(mapped, number, self._free)

    @classmethod
    def open(cls, run_dir: Path, about: About, *, hands: int = 1) -> Scoreboard:
        """Make the board of this process; where that cannot be, one that nobody sees.

        `hands` is how many jobs the worker may run at a time.
        """
        size = HANDS_AT + hands * HAND_BYTES
        path: Path | None = run_dir / FOLDER / about.file_name
        try:
            assert path is not None
            mapped = _make(path, about.packed(hands), size)
        except OSError as error:
            logger.warning(
                "Without a scoreboard: %s cannot be written: %s; 'gearfleet ps' does not show this "
                "worker, and if it dies, its job is not blamed",
                path,
                error.strerror,
                extra={"action": "no_scoreboard", "path": str(path)},
            )
            path, mapped = None, mmap.mmap(-1, size)
        return cls(mapped, path, hands)

    @property
    def path(self) -> Path | None:
        """The file; None where there is none."""
        return self._path

    def name_tasks(self, tasks: Mapping[str, str]) -> None:
        """Show the jobs of these functions under the names of their tasks, too."""
        for function, task in tasks.items():
            self._name(function, task)

    def state(self, state: str) -> None:
        """Say what the worker does: one of `STATES`; safe in every thread.

        A worker that drains, or is further down the ladder, does not go back.
        """
        number, now = STATES.index(state), self._map[STATE_AT]
        if now < _DRAINING or now < number:
            self._map[STATE_AT] = number
        self._measure()

    def registered(self) -> None:
        """Say that a job server knows the worker now; safe in every thread."""
        self._map[REGISTERED_AT] = 1

    def begin(
        self, function: str, handle: str, unique: bytes, started: float, deadline: float = 0.0
    ) -> Hand:
        """Show a job, until `Hand.end`; there must be a hand for it.

        Args:
            function: under which the job server queued it.
            handle: the job server's name for it.
            unique: the caller's name for it.
            started: now, in seconds since the epoch.
            deadline: when it has to have ended, by `time.monotonic`; 0 for never.
        """
        if started >= self._rss_due:
            self._rss_due = started + _RSS_EVERY
            self._measure()
        names = self._names.get(function) or self._name(function, function)
        hand = self._free.pop()
        # From 1 to 255: 0 is what `pack_into` leaves there for a moment.
        hand.last = last = hand.last % 255 + 1
        mapped, at = self._map, hand.at
        mapped[at] = last
        _, _, done, failed, back = hand.counts
        # All of them by position, and in this one call: so it takes half of the time.
        _pack_job(
            mapped,
            at + 1,
            RUNNING,
            done,
            failed,
            back,
            started,
            deadline,
            names,
            handle.encode("utf-8", "surrogateescape"),
            unique,
            last,
        )
        return hand

    def close(self, reason: str) -> None:
        """Say why the worker has ended; its last word."""
        write_end(self._map, reason)

    def _name(self, function: str, task: str) -> bytes:
        self._names[function] = names = NAMES.pack(encoded(function), encoded(task))
        return names

    def _measure(self) -> None:
        # In one store, unlike `pack_into`, which begins with zeros.
        self._map[RSS_AT : RSS_AT + RSS.size] = RSS.pack(procfs.rss_bytes())


def close_for(entry: BoardEntry, reason: str) -> None:
    """Say on the board of a worker that is dead why it has ended."""
    try:
        with entry.path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            write_end(mapped, reason)
    except (OSError, ValueError):
        logger.debug("The board %s is gone", entry.path)


def write_end(mapped: mmap.mmap, reason: str) -> None:
    """Write why a worker has ended, and then that it has."""
    END.pack_into(mapped, END_AT, time.time(), encoded(reason))
    mapped[STATE_AT] = STATES.index("ended")


def _make(path: Path, about: bytes, size: int) -> mmap.mmap:
    """Return the file, mapped; nobody sees it before it says whose it is."""
    for folder in (path.parent.parent, path.parent):  # `parents` alone would be open to all
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, size)
        os.pwrite(file, about, 0)
        mapped = mmap.mmap(file, size)
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)
    return mapped
