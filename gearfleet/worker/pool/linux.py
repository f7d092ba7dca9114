"""What Linux offers to the parent of processes."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gearfleet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class Death(NamedTuple):
    """The end of one process, as waitpid(2) tells it."""

    pid: int
    status: int

    @property
    def code(self) -> int:
        """The exit code; the negative number of the signal that ended the process."""
        return os.waitstatus_to_exitcode(self.status)

    @property
    def cause(self) -> str:
        """How the process ended, in words."""
        if self.code >= 0:
            return f"exit code {self.code}"
        hint = " (perhaps it was out of memory)" if -self.code == signal.SIGKILL else ""
        return f"{_name(-self.code)}{hint}"


def become_subreaper() -> None:
    """Make orphaned processes below this one its children.

    Raises:
        UsageError: this is not Linux.
    """
    if sys.platform != "linux":
        raise UsageError(
            "A pool needs Linux; without --processes this is one worker, and Supervisor "
            "starts as many as the setting 'processes' says"
        )
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process the signal when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, number)


def has_one_thread() -> bool:
    """Return whether this process is known to have one thread only, as a fork of it will.

    Those of libraries count, too, of which Python knows nothing (proc(5)).
    """
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir()) == 1
    except OSError:
        return False


def reap() -> Iterator[Death]:
    """Yield the children that have ended, each once."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield Death(pid, status)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a child; one that has been reaped and is not yet taken note of hears none."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals
        return f"signal {number}"
