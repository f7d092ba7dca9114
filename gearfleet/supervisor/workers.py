"""The workers behind supervisord's processes, as their boards in the run directory tell of them.

A process that supervisord shows is a worker itself, or the parent of a pool of
them. Boards are files of this host: of a supervisord elsewhere nothing is seen
here, and the job servers have to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.worker import procfs
from gearfleet.worker.boards import read_boards

if TYPE_CHECKING:
    from pathlib import Path

    from gearfleet.supervisor.processes import Process
    from gearfleet.worker.boards import BoardEntry

#: States of a worker that takes jobs, or does not because it was told to be quiet.
SERVING = frozenset({"idle", "busy", "quiet"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSeen:
    """One worker of this host.

    Attributes:
        owner: pid of the process that supervisord shows: the worker, or its pool.
        process: the name of that process, without its group.
        pid: of the worker.
        state: of the worker, as `gearfleet ps` shows it.
        release: of its code; empty where nobody knows.
        tasks: of the jobs in hand.
        was_killed: whether it is dead and never said goodbye.
    """

    owner: int
    process: str
    pid: int
    state: str = "idle"
    release: str = ""
    tasks: tuple[str, ...] = ()
    was_killed: bool = False

    @property
    def is_of_pool(self) -> bool:
        return self.owner != self.pid

    @property
    def is_serving(self) -> bool:
        return self.state in SERVING


WorkersSeen = tuple[WorkerSeen, ...]

#: Looks at the boards.
Look = Callable[[], WorkersSeen]


def nothing() -> WorkersSeen:
    """See no worker, as where there is no run directory to look into."""
    return ()


def look_into(run_dir: Path) -> Look:
    """Return a function that reads the boards in a run directory."""

    def look() -> WorkersSeen:
        return tuple(_seen(entry) for entry in read_boards(run_dir) if _tells(entry))

    return look


def workers_of(process: Process, seen: WorkersSeen) -> WorkersSeen:
    """Return those of `seen` that belong to a process, dead ones left out."""
    return tuple(worker for worker in of_process(process, seen) if not worker.was_killed)


def of_process(process: Process, seen: WorkersSeen) -> WorkersSeen:
    """Return those of `seen` that belong to a process.

    By pid and name: supervisord may be on another host, where the same pid is
    that of another process.
    """
    return tuple(
        worker
        for worker in seen
        if process.pid and (worker.owner, worker.process) == (process.pid, process.name)
    )


def _tells(entry: BoardEntry) -> bool:
    return entry.is_alive or not entry.ended


def _seen(entry: BoardEntry) -> WorkerSeen:
    about = entry.about
    process, is_of_pool, _ = about.slot.partition("/")
    return WorkerSeen(
        owner=procfs.parent_of(about.pid) if is_of_pool else about.pid,
        process=process,
        pid=about.pid,
        state=entry.state,
        release=about.release,
        tasks=tuple(job.task for job in entry.jobs),
        was_killed=not entry.is_alive,
    )
