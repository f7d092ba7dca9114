"""`Quarantine`: takes a job out that was in hand each time when a worker died.

    quarantine = Quarantine(run_dir, after=3)
    quarantine.enter(about, hands=1)
    deaths = quarantine.deaths(function, unique)   # only of a job that `InHand` knows
    quarantine.clear(function, unique)             # it has ended, and its worker has not

Each death by itself, while a job runs, is one line in a file of that job:
which worker, where, when, how. A worker that was told to stop blames no job,
whatever ended it then. Nobody is asked anything: who died is seen from the
boards and from the kernel, so this works the same under supervisord, in a pool
and by hand. What cannot be written blames nobody; a job is never hurt by it.

Everything here is off the path of ordinary jobs.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gearfleet.worker.boards import encoded
from gearfleet.worker.deaths import Death, clear_away, collect_deaths, take_place
from gearfleet.worker.in_hand import InHand, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.worker.boards import About

logger = logging.getLogger(__name__)

FOLDER = "quarantine"
_LOCK = "lock"
#: Of the file with the deaths that one job is suspected of.
_SUFFIX = ".jsonl"

#: Seconds that one waits for another who may have been stopped with the lock in hand.
_PATIENCE = 2.0
#: Seconds after which a death is forgotten: its job has ended elsewhere, or never came back.
_KEPT = 7 * 24 * 3600.0
#: Seconds between two looks at all boards of the host by those who begin: where hundreds begin
#: at once, each would look at those of all others, one after the other.
_LOOK_EVERY = 5.0


class Quarantine:
    """The deaths of this host, as one worker sees them.

    Attributes:
        after: how many deaths take a job out; 0 for never.
        in_hand: what `deaths` need be looked up of; None where nothing is.
    """

    def __init__(self, run_dir: Path, after: int, *, has_time_limits: bool = False) -> None:
        """Keep the deaths in `run_dir`; `enter` must be called before anything else.

        A worker whose jobs have time limits looks for those that ran into one, whatever
        `after` is.
        """
        self.after = after
        self._is_needed = bool(after) or has_time_limits
        self.in_hand: InHand | None = None
        self._run_dir = run_dir
        self._folder = run_dir / FOLDER

    def enter(self, about: About, hands: int) -> str:
        """Begin to watch as this worker, with so many hands; return why the one before it ended.

        Raises:
            OSError: the run directory cannot be written.
        """
        for folder in (self._run_dir, self._folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked() as lock:
            if self._is_needed:
                self.in_hand = InHand.open(self._folder)
            if abs(time.time() - os.fstat(lock).st_mtime) >= _LOOK_EVERY:
                self._look_at_all()
                os.utime(lock)
            else:
                self._collect(place_of=about)
            if self.in_hand is not None:
                self._mark_all(self.in_hand)
                self.in_hand.claim(hands, about.pid, about.ticks)
            return take_place(self._run_dir, about)

    def _look_at_all(self) -> None:
        """Count every death, and clear away what the dead have left."""
        # Whoever dies while we look is left to the next: what he had in hand stays
        # known until his death is counted.
        dead = self.in_hand.dead_owners() if self.in_hand is not None else []
        self._collect()
        for owner in dead:
            assert self.in_hand is not None
            self.in_hand.release(*owner)
        clear_away(self._run_dir)

    def leave(self, about: About) -> None:
        """Give the entries of this worker back."""
        if self.in_hand is not None:
            with self._locked():
                self.in_hand.release(about.pid, about.ticks)

    def deaths(self, function: str, unique: str) -> list[Death]:
        """Return the deaths of which this job is suspected, oldest first.

        Raises:
            OSError: they cannot be read.
        """
        with self._locked():
            self._collect()
            return self._read(self._file(function, unique))

    def clear(self, function: str, unique: str) -> None:
        """Suspect this job no more.

        Raises:
            OSError: the file of its deaths cannot be removed.
        """
        with self._locked():
            self._file(function, unique).unlink(missing_ok=True)
            if self.in_hand is not None:
                self.in_hand.unmark(key_of(encoded(unique)))

    def _collect(self, *, place_of: About | None = None) -> None:
        for entry, suspects in collect_deaths(self._run_dir, place_of=place_of):
            for job, death in suspects:
                if self.after or death.is_timeout:
                    self._add(job.function, job.unique, death)
            if self.in_hand is not None:
                self.in_hand.release(entry.about.pid, entry.about.ticks)

    def _add(self, function: str, unique: str, death: Death) -> None:
        path = self._file(function, unique)
        is_new = not path.exists()
        with path.open("a", encoding="utf-8") as file:
            if is_new:
                file.write(json.dumps({"function": function, "unique": unique}) + "\n")
            file.write(death.to_json() + "\n")
        if self.in_hand is not None:
            self.in_hand.mark(key_of(encoded(unique)))
        logger.warning(
            "A worker died while it ran job %s of %s: %s",
            unique,
            function,
            death,
            extra={
                "action": "worker_died",
                "function": function,
                "unique": unique,
                "pid": death.pid,
                "how": death.how,
            },
        )

    @staticmethod
    def _read(path: Path) -> list[Death]:
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        deaths = []
        for line in lines[1:]:
            with suppress(ValueError, TypeError):  # a full disk may have left a part
                deaths.append(Death.from_json(line))
        return deaths

    def _file(self, function: str, unique: str) -> Path:
        name = hashlib.blake2b(encoded(f"{function}\0{unique}"), digest_size=16).hexdigest()
        return self._folder / f"{name}{_SUFFIX}"

    def _mark_all(self, in_hand: InHand) -> None:
        """Mark the suspects again, in case that somebody has removed the file of the marks."""
        # Not a glob, whose pattern each worker of a pool would compile for itself.
        for path in self._folder.iterdir():
            if path.suffix != _SUFFIX:
                continue
            if path.stat().st_mtime < time.time() - _KEPT:
                path.unlink()
            elif unique := _unique(path):
                in_hand.mark(key_of(encoded(unique)))

    @contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(file)
            yield file
        finally:
            os.close(file)


def _unique(path: Path) -> str:
    """Return the unique that a file of deaths begins with; a full disk may have left none."""
    try:
        with path.open(encoding="utf-8") as file:
            return str(json.loads(file.readline())["unique"])
    except (ValueError, KeyError, TypeError):
        return ""


def _lock(file: int) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return
