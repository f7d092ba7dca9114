"""`MainThread`: where the main thread is, and how the stop ladder's thread reaches it there.

Strategy. To interrupt, it is sent a SIGURG, whose handler raises if the main
thread is in code of the user that has to end. SIGURG, because it is ignored by
default, so that nobody sends it and a stray one does no harm; SIGALRM and its
timer belong to the tasks. It is sent again and again until it has been heard: it
may come just before a system call that waits, and Python's handler runs only when
that returns, so something must make it return.

A soft time limit is told in the same way: see `soft_limit`.

`phase` and the soft limit are written by the main thread alone, and the rest by the
ladder's, but for the note that a call was heard.
"""

from __future__ import annotations

import signal
import threading
import time
from math import inf
from typing import TYPE_CHECKING

from gearfleet.errors import JobInterrupted
from gearfleet.worker import sentences
from gearfleet.worker.rungs import Phase
from gearfleet.worker.signals import INTERRUPT, Handlers
from gearfleet.worker.soft_limit import SoftLimit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType, TracebackType

#: Seconds between two calls while they have not been heard.
_CALL_AGAIN = 0.05


class MainThread:
    """The main thread of a worker.

    Attributes:
        phase: what it is doing.
        job: the context to run a job in; always the same one, because this is on the path of
            every job.
    """

    def __init__(self, look_by: Callable[[float], None]) -> None:
        """Let `look_by` know when `look` has to be called, if that may be earlier than it was."""
        self.phase = Phase.IDLE
        self.job = Inside(self, Phase.JOB)
        self._look_by = look_by
        #: Not a set: nearly always empty, and an enum's hash is slow.
        self._ending: tuple[Phase, ...] = ()
        self._is_called = False
        self._limit: SoftLimit | None = None
        self._told_limit: SoftLimit | None = None
        self._limit_called_at = -inf

    # What the main thread calls

    def take_signals(self, writer: socket.socket) -> None:
        """Have each signal be a byte on `writer`, until `give_signals_back`."""
        self._handlers = Handlers(writer, self._hear)

    def give_signals_back(self) -> None:
        """Put the handlers back that were there before."""
        self._handlers.restore()

    def limit(self, seconds: float) -> SoftLimit:
        """Return the context to call a task in; `SoftTimeLimitExceeded` is raised within, once."""
        return SoftLimit(seconds, self._watch_limit)

    def _watch_limit(self, limit: SoftLimit | None) -> None:
        self._limit = limit
        if limit is not None:
            self._look_by(limit.due_at)

    def _hear(self, _number: int, frame: FrameType | None) -> None:
        """Raise, if what was interrupted has to end."""
        if self.phase in self._ending:
            self._is_called = False
            raise JobInterrupted
        if self._limit is not None and self.phase is Phase.JOB:
            self._limit.tell_if_due(frame)

    # What the ladder's thread calls

    def end(self, phase: Phase) -> None:
        """Let `JobInterrupted` be raised in this phase from now on, when it hears the next call."""
        if phase not in self._ending:
            self._ending += (phase,)

    def call(self) -> None:
        """Interrupt it, wherever it is; if it is in code of the user, until it has heard."""
        self._is_called = self.phase is not Phase.IDLE
        _interrupt()

    @property
    def looks_at(self) -> float:
        """When to call `look`."""
        again = time.monotonic() + _CALL_AGAIN if self._is_called else inf
        limit = self._limit
        if limit is None:
            return again
        return min(again, max(limit.due_at, self._limit_called_at + _CALL_AGAIN))

    def look(self) -> None:
        """Call again, or tell of a soft limit, where it is time for that."""
        if self._is_called:
            self.call()
        limit = self._limit
        if limit is not None and time.monotonic() >= limit.due_at:
            self._tell(limit)

    def _tell(self, limit: SoftLimit) -> None:
        self._limit_called_at = time.monotonic()
        _interrupt()
        if limit is not self._told_limit:
            self._told_limit = limit
            sentences.soft_limit_reached(limit.seconds)


class Inside:
    """While it is entered, the main thread is in code of the user and may be interrupted."""

    __slots__ = ("_main", "_phase")

    def __init__(self, main: MainThread, phase: Phase) -> None:
        """Let `main` be in `phase`."""
        self._main = main
        self._phase = phase

    def __enter__(self) -> None:
        self._main.phase = self._phase
        if self._phase in self._main._ending:
            self._main.phase = Phase.IDLE
            raise JobInterrupted

    def __exit__(self, kind: type | None, error: object, trace: TracebackType | None) -> None:
        self._main.phase = Phase.IDLE
        handlers = self._main._handlers
        if not handlers.are_ours():
            handlers.reclaim()


def _interrupt() -> None:
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, INTERRUPT)
