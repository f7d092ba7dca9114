"""What the kernel says of a process: whether it still is the one that we mean, and how it ended.

A process is known by its pid and the moment of its start, so that no other one,
which got the same pid later, is taken for it. Where there is no /proc, that
moment is 0, and the pid alone has to do.
"""

from __future__ import annotations

import os
import signal
from functools import cache
from pathlib import Path

#: Fields of /proc/PID/stat (proc(5) counts from 1), after the name in brackets.
_STATE, _PARENT, _START, _VSIZE, _EXIT_CODE = 3, 4, 22, 23, 52
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def start_ticks(pid: int) -> int:
    """Return when a process began, in clock ticks since the boot; 0 where that is not known."""
    fields = _stat(pid)
    return int(fields[_START - 3]) if fields else 0


def parent_of(pid: int) -> int:
    """Return the parent of a process; 0 where that is not known."""
    fields = _stat(pid)
    return int(fields[_PARENT - 3]) if fields else 0


@cache
def boot_number() -> int:
    """Return a number that is another one after each boot; 0 where there is none."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return 0
    return int(text.replace("-", "")[:16], 16)


@cache
def pid_space() -> int:
    """Return the number of the namespace that pids are valid in; 0 where there is only one."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - of what the link leads to
    except OSError:
        return 0


def is_running(pid: int, ticks: int) -> bool:
    """Return whether the process `pid` that began at `ticks` is still there, and not about to go.

    One that is ending has no memory any more when its connections are closed:
    so whoever is given its job does not find it alive.
    """
    fields = _stat(pid)
    if fields is None:
        return not ticks and _has_pid(pid)
    is_it = not ticks or int(fields[_START - 3]) == ticks
    return is_it and fields[_STATE - 3] not in "ZXx" and int(fields[_VSIZE - 3]) > 0


def how_it_ended(pid: int, ticks: int) -> str:
    """Return the signal or exit code of a process that nobody has waited for yet, else nothing.

    The kernel says 0 also to those whom it does not tell, so 0 says nothing.
    """
    fields = _stat(pid)
    if fields is None or int(fields[_START - 3]) != ticks or len(fields) < _EXIT_CODE - 2:
        return ""
    status = int(fields[_EXIT_CODE - 3])
    if not status:
        return ""
    if os.WIFSIGNALED(status):
        return _signal_name(os.WTERMSIG(status))
    return f"exit code {os.WEXITSTATUS(status)}"


def rss_bytes(pid: int | str = "self") -> int:
    """Return how much memory a process has in RAM; 0 where that is not known."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - a tenth of Path's time
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third on."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # a name may hold spaces and brackets


def _has_pid(pid: int) -> bool:
    if Path("/proc/self/stat").exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
