"""What the stop ladder is to the main thread, for the threads of a crew.

An exception of ours is raised in another thread with `PyThreadState_SetAsyncExc`
(docs.python.org/3/c-api/init.html): between two instructions of Python, so a call
into a library hears of it when it comes back. It is taken back when the task has
ended before it was raised.
"""

from __future__ import annotations

import ctypes
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gearfleet.errors import JobInterrupted, SoftTimeLimitExceeded
from gearfleet.worker.soft_limit import SoftLimit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.worker.crew import Crew
    from gearfleet.worker.event_loop import SharedLoop


class CrewLadder:
    """Interrupts the jobs of a crew, and tells them of their soft time limits.

    Attributes:
        is_interrupted: whether jobs have to go back to the job server.
    """

    def __init__(self, crew: Crew, loop: SharedLoop) -> None:
        """Interrupt what runs in the threads of `crew` and on their `loop`."""
        self.is_interrupted = False
        self._crew = crew
        self._loop = loop
        self._calling = threading.Lock()
        #: The threads that are in code of the user, and what is to be raised there.
        self._inside: dict[int, bool] = {}

    @property
    def in_hand(self) -> int:
        """How many jobs the crew runs."""
        return self._crew.in_hand

    def interrupt(self) -> None:
        """Raise `JobInterrupted` in every job; safe in any thread."""
        self.is_interrupted = True
        self._loop.cancel()
        with self._calling:
            for thread in self._inside:
                self._raise_in(thread, JobInterrupted)

    @contextmanager
    def job(self) -> Iterator[None]:
        """Return the context to run a job in."""
        thread = threading.get_ident()
        with self._calling:
            if self.is_interrupted:
                raise JobInterrupted
            self._inside[thread] = False
        try:
            yield
        finally:
            self._leave(thread)

    def limit(self, seconds: float) -> SoftLimit:
        """Return the context to call a task in; `SoftTimeLimitExceeded` is raised within, once."""
        thread = threading.get_ident()
        timers: list[threading.Timer] = []

        def watch(limit: SoftLimit | None) -> None:
            if limit is not None:
                timers.append(threading.Timer(seconds, self._tell, (limit, thread)))
                timers[0].daemon = True
                timers[0].start()
                return
            timers.pop().cancel()
            self._take_back(thread)

        return SoftLimit(seconds, watch)

    def _tell(self, limit: SoftLimit, thread: int) -> None:
        with self._calling:
            if thread in self._inside and not limit.tell_coroutine():
                self._raise_in(thread, SoftTimeLimitExceeded)

    def _raise_in(self, thread: int, error: type[BaseException]) -> None:
        self._inside[thread] = True
        _set_exception(thread, error)

    def _take_back(self, thread: int) -> None:
        with self._calling:
            if self._inside.get(thread) and not self.is_interrupted:
                self._inside[thread] = False
                _set_exception(thread, None)

    def _leave(self, thread: int) -> None:
        with self._calling:
            if self._inside.pop(thread):
                _set_exception(thread, None)


def _set_exception(thread: int, error: type[BaseException] | None) -> None:
    kind = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), kind)
