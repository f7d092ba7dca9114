"""What the workers of this host are doing, and were doing when they ended: `read_boards`.

Each worker has a small file of a fixed layout (`VERSION`): who it is, which
never changes; its state; and the jobs in hand, each framed by two counters. The
writer sets the first counter, then the job and the last one. A reader takes
them in the opposite order, and tries again unless both are equal. This needs
stores to be seen in their order, as on x86; elsewhere a reader may, once in a
very long time, see parts of two jobs.

The other half, which writes, is `scoreboard`.
"""

from __future__ import annotations

import mmap
import os
import re
import socket
import struct
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.worker import procfs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER = "workers"
MAGIC = b"gearfwkr"
VERSION = 1

#: States of a worker, by their numbers in the file.
STATES = ("starting", "idle", "quiet", "draining", "interrupted", "stopping", "ended")
BUSY = "busy"  #: what an idle one is called that has a job in hand

#: What a hand may hold.
EMPTY, RUNNING, DONE, FAILED, GIVEN_BACK = range(5)

#: Magic, version, hands, pid, start in ticks, boot, pid space, start by the clock, prefetch, texts.
ABOUT = struct.Struct("<8sHHIQQQdI128s128s255s255s64s64s255s")
#: When and why the worker ended.
END = struct.Struct("<d255s")
RSS = struct.Struct("<Q")
#: What a hand holds; the jobs done, failed and given back before it; start, deadline, function
#: and task, handle, unique; the last counter.
JOB = struct.Struct("<BQQQdd510s64s64sB")
#: A function and its task.
NAMES = struct.Struct("<255s255s")

STATE_AT = 1536
REGISTERED_AT = 1537
RSS_AT = 1544
END_AT = 1552
HANDS_AT = 2048
HAND_BYTES = 768

#: What the name of a file does not keep of a slot.
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]")

#: How often a reader tries, and the seconds between: on a busy machine a writer may have to wait
#: for its CPU in the middle of a job's begin.
_TRIES, _PAUSE = 500, 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Who a worker is; nothing of it changes while it runs.

    Attributes:
        program: that it belongs to.
        slot: its place there, such as ``worker_bar_00``: one worker at a time has it.
        module: dotted name of its worker module.
        queues: that it serves.
        release: of the code.
        prefetch: how many jobs may be with it.
        previous: why the worker that had the slot before has ended.
        pid: of the process.
        ticks: when that began, see `procfs.start_ticks`.
        boot: since which boot of the machine.
        space: of pids, in which `pid` is valid.
        host: whose process it is.
        began: when it began, in seconds since the epoch.
    """

    program: str
    slot: str = ""
    module: str = ""
    queues: Sequence[str] = ()
    release: str = ""
    prefetch: int = 1
    previous: str = ""
    pid: int = field(default_factory=os.getpid)
    ticks: int = field(default_factory=lambda: procfs.start_ticks(os.getpid()))
    boot: int = field(default_factory=procfs.boot_number)
    space: int = field(default_factory=procfs.pid_space)
    host: str = field(default_factory=socket.gethostname)
    began: float = field(default_factory=time.time)

    @property
    def is_alive(self) -> bool:
        """Whether the process is there, and not about to go."""
        return self.is_of_this_boot and procfs.is_running(self.pid, self.ticks)

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the machine was not started again since."""
        return self.boot == procfs.boot_number()

    @property
    def file_name(self) -> str:
        """Name of the board; no other worker ever has it, also if it is given the same pid."""
        return f"{self.place_name}.{self.pid}.{self.ticks}"

    @property
    def place(self) -> tuple[str, str]:
        """What one worker has at a time: the program and the slot in it."""
        return self.program, self.slot

    @property
    def place_name(self) -> str:
        """How the names of the boards of this place begin; seldom, others do as well."""
        return _UNFIT.sub("-", self.slot or self.program)[:100]

    def after(self, previous: str) -> About:
        """Return the same, of which is known why the worker before it has ended."""
        return replace(self, previous=previous)

    def packed(self, hands: int) -> bytes:
        """Return the part of a board that never changes."""
        return ABOUT.pack(
            *(MAGIC, VERSION, hands, self.pid, self.ticks, self.boot, self.space),
            *(self.began, self.prefetch),
            *map(encoded, (self.program, self.slot, self.module, "\n".join(self.queues))),
            *map(encoded, (self.release, self.host, self.previous)),
        )


class JobInHand(NamedTuple):
    """A job that a worker runs, or ran when it died.

    Attributes:
        function: under which the job server queued it.
        task: its name.
        handle: the job server's name for it.
        unique: the caller's name for it.
        started: when it began here, in seconds since the epoch.
        deadline: when it must have ended, by `time.monotonic`; 0 for never.
    """

    function: str
    task: str
    handle: str
    unique: str
    started: float
    deadline: float

    @property
    def id(self) -> str:
        """The job's id, where the unique is made of it, as that of most jobs; else the unique."""
        return re.sub(r"\.\d+$", "", self.unique)


class BoardEntry(NamedTuple):
    """What a board said when it was read.

    Attributes:
        path: of the file.
        about: who the worker is.
        state: one of `STATES`, or ``busy``.
        jobs: in hand.
        done: how many jobs had a result.
        failed: how many failed.
        given_back: how many another worker has to run.
        rss_bytes: of the process, a moment ago.
        ended: when it ended, in seconds since the epoch; 0 where it did not say goodbye.
        reason: why it ended.
        is_alive: whether the process is there, and not about to go.
    """

    path: Path
    about: About
    state: str
    jobs: tuple[JobInHand, ...]
    done: int
    failed: int
    given_back: int
    rss_bytes: int
    ended: float
    reason: str
    is_alive: bool


def read_boards(run_dir: Path, *, place_of: About | None = None) -> list[BoardEntry]:
    """Return what the boards in `run_dir` say, by program and slot; also those of dead workers.

    Not those of other containers that share the folder, of whose processes
    nothing is known here. With `place_of`, those alone that had the place of
    that worker: among a thousand boards, these are found by their names.
    """
    try:
        names = os.listdir(run_dir / FOLDER)  # noqa: PTH208 - a fifth of the time of Path objects
    except OSError:
        return []
    chosen = (name for name in names if not name.startswith("."))
    if place_of is not None:
        chosen = (name for name in chosen if name.rsplit(".", 2)[0] == place_of.place_name)
    entries = [entry for name in chosen if (entry := maybe_read(run_dir / FOLDER / name))]
    if place_of is not None:
        entries = [entry for entry in entries if entry.about.place == place_of.place]
    return sorted(entries, key=lambda each: (*each.about.place, each.about.began))


def maybe_read(path: Path) -> BoardEntry | None:
    """Return what one board says; None if it is gone, of another layout, or another container's."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as board:
            return _read(path, board)
    except (OSError, ValueError, IndexError, struct.error):
        # A file without content cannot be mapped, and one may have been cut short: whatever
        # lies in the folder, it must not keep a worker from starting.
        return None


def _read(path: Path, board: mmap.mmap) -> BoardEntry | None:
    magic, version, hands, *fields = ABOUT.unpack_from(board)
    if (magic, version) != (MAGIC, VERSION):
        return None
    about = _about(fields)
    if about.is_of_this_boot and about.space != procfs.pid_space():
        return None
    state = STATES[board[STATE_AT]]
    is_alive = state != "ended" and about.is_alive
    if not is_alive:
        state = STATES[board[STATE_AT]]  # it may have said its last word since, and gone
    tries = _TRIES if is_alive else 1  # one that died while it wrote leaves what is never whole
    found = [_read_hand(board, HANDS_AT + number * HAND_BYTES, tries) for number in range(hands)]
    jobs = tuple(job for job, _ in found if job is not None)
    done, failed, given_back = map(sum, zip(*(counts for _, counts in found), strict=True))
    (rss,) = RSS.unpack_from(board, RSS_AT)
    ended, reason = END.unpack_from(board, END_AT)
    return BoardEntry(
        path=path,
        about=about,
        state=BUSY if jobs and state == "idle" else state,
        jobs=jobs,
        done=done,
        failed=failed,
        given_back=given_back,
        rss_bytes=(procfs.rss_bytes(about.pid) if is_alive else 0) or rss,
        ended=ended,
        reason=decoded(reason),
        is_alive=is_alive,
    )


def _about(fields: list[Any]) -> About:
    pid, ticks, boot, space, began, prefetch, *texts = fields
    program, slot, module, queues, release, host, previous = map(decoded, texts)
    return About(
        program=program,
        slot=slot,
        module=module,
        queues=tuple(queues.split("\n")) if queues else (),
        release=release,
        prefetch=prefetch,
        previous=previous,
        pid=pid,
        ticks=ticks,
        boot=boot,
        space=space,
        host=host,
        began=began,
    )


def _read_hand(
    board: mmap.mmap, at: int, tries: int
) -> tuple[JobInHand | None, tuple[int, int, int]]:
    """Return the job in a hand, if there is one, and how many it has done, failed, given back."""
    for _ in range(tries):
        last = board[at + JOB.size]
        body = board[at + 1 : at + 1 + JOB.size]
        if board[at] == last:
            break
        time.sleep(_PAUSE)
    else:
        return None, (0, 0, 0)
    holds, *counts, started, deadline, names, handle, unique, _ = JOB.unpack(body)
    function, task = NAMES.unpack(names)
    if holds in (DONE, FAILED, GIVEN_BACK):
        counts[holds - DONE] += 1
    job = JobInHand(
        function=decoded(function),
        task=decoded(task),
        handle=decoded(handle),
        unique=decoded(unique),
        started=started,
        deadline=deadline,
    )
    return job if holds == RUNNING else None, (counts[0], counts[1], counts[2])


def encoded(text: str) -> bytes:
    """Return `text` as a board has it; what is too long is cut there."""
    return text.encode("utf-8", "surrogateescape")


def decoded(field: bytes) -> str:
    """Return the text of a field of a board."""
    return field.rstrip(b"\0").decode("utf-8", "replace")
