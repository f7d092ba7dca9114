"""The hard end of a process: a timer in C, which also goes off while Python cannot run.

    hard_end = HardEnd(evidence)
    due = hard_end.begin(assignment, 60.0)      # a job with a time limit
    hard_end.end(assignment)
    hard_end.last_call(8.0)                     # the stop ladder's own

Strategy. `faulthandler.dump_traceback_later` has one timer, so the earliest
deadline has it. To set it makes a thread, which takes 30 to 50 microseconds, too
many for a short job. So it is set `SLACK` late, and then does for all jobs that
begin within that time and have the same limit: a busy worker sets it once a
second. The stop ladder's thread, which looks at the exact deadline, ends the
process in time wherever Python still runs; the timer is for when it does not.

While no job has a limit the timer must not go off at all, so the ladder's
thread, which looks four times a second meanwhile, takes it back, and so does the
next job without a limit.

What the timer writes before the end is the evidence: a file in the run directory
that is not empty says that the worker of this name ended by its time limit, and
where its threads were. The stop ladder's own end goes to the log instead.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.process import BaseProcess
    from pathlib import Path

FOLDER = "time-limits"
#: How late the timer in C may go off, in seconds.
SLACK = 1.0
#: Seconds between two looks while the timer is set.
_LOOK_EVERY = 0.25
_STDERR = 2


class HardEnd:
    """Ends this process when a job, or the way to stop, takes longer than it may."""

    def __init__(
        self,
        evidence: Path | None = None,
        *,
        is_shared: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write to `evidence`; where it cannot be written, or is None, to the log.

        `is_shared` says that several jobs may run at a time; `clock` tells monotonic seconds.
        """
        self._path = evidence
        self._clock = clock
        self._is_shared = is_shared
        self._wake: Callable[[], object] = lambda: None
        self._file = -1
        self._lock = threading.Lock()
        #: When the jobs in hand that have a limit must have ended, and their limits.
        self._due: dict[object, tuple[float, float]] = {}
        self._last_call_at = inf
        self._set_for = inf

    def wake_by(self, wake: Callable[[], object]) -> None:
        """Call `wake` when somebody has to look at `looks_at` again."""
        self._wake = wake

    def begin(self, job: object, limit: float | None) -> None:
        """End the process `limit` seconds from now, unless the job has ended; None for never."""
        if limit is None:
            if self._set_for < inf and not self._due:
                self.tidy()
            return
        now = self._clock()
        due = now + limit
        with self._lock:
            self._due[job] = (due, limit)
            if not due <= self._set_for <= due + SLACK or len(self._due) > 1:
                self._set(now)

    def end(self, job: object) -> None:
        """Let a job be over; does nothing for one without a limit."""
        if job not in self._due:
            return
        with self._lock:
            del self._due[job]
            if self._is_shared:
                self._set(self._clock())

    def last_call(self, seconds: float) -> None:
        """End the process so many seconds from now, whatever it does."""
        now = self._clock()
        with self._lock:
            self._last_call_at = now + seconds
            self._set(now)

    def tidy(self) -> None:
        """Take the timer back if no job needs it."""
        with self._lock:
            self._set(self._clock())

    def close(self) -> None:
        """Call everything off."""
        with self._lock:
            self._due.clear()
            self._last_call_at = inf
            self._set(0.0)
        if self._file > _STDERR:
            os.close(self._file)
            self._file = -1
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @property
    def looks_at(self) -> float:
        """When somebody has to look whether a job is due, or the timer is not needed any more."""
        if self._set_for == inf or self._last_call_at < inf:
            return inf
        return min([self._clock() + _LOOK_EVERY, *(due for due, _ in list(self._due.values()))])

    def overdue(self) -> tuple[object, float] | None:
        """Return the job whose time is over, and its limit."""
        now = self._clock()
        late = (each for each in list(self._due.items()) if each[1][0] <= now)
        job, (_, limit) = next(late, (None, (0.0, 0.0)))
        return (job, limit) if limit else None

    def end_now(self) -> None:
        """End the process, with the stacks of its threads in the evidence and in the log."""
        from gearfleet.worker.stacks import report

        stacks = report().encode("utf-8", "backslashreplace")
        for file in dict.fromkeys((self._evidence(), _STDERR)):  # the evidence first
            os.write(file, stacks)
        for child in _children():
            child.kill()
        os._exit(1)

    def _set(self, now: float) -> None:
        """Set the timer, if it is not good enough as it is."""
        earliest = min([due for due, _ in self._due.values()], default=inf)
        latest = min(earliest + SLACK, self._last_call_at)
        if min(earliest, self._last_call_at) <= self._set_for <= latest:
            return
        was_set, self._set_for = self._set_for < inf, latest
        if latest == inf:
            faulthandler.cancel_dump_traceback_later()
            return
        file = _STDERR if latest == self._last_call_at else self._evidence()
        faulthandler.dump_traceback_later(max(0.001, latest - now), exit=True, file=file)
        if not was_set:
            self._wake()

    def _evidence(self) -> int:
        if self._file < 0:
            self._file = _open(self._path)
        return self._file


def _open(path: Path | None) -> int:
    if path is None:
        return _STDERR
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        return _STDERR


def _children() -> list[BaseProcess]:
    multiprocessing = sys.modules.get("multiprocessing")
    return multiprocessing.active_children() if multiprocessing else []
