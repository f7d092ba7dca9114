"""Django Q's `Stat`: what the workers of this host do, a program for each of its clusters."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from gearfleet import config
from gearfleet.worker import procfs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.monitor.sample import Sample
    from gearfleet.worker.boards import BoardEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What one program does.

    Attributes:
        cluster_id: the program.
        host: on which its workers run.
        status: ``Starting``, ``Idle``, ``Working``, ``Stopping`` or ``Stopped``.
        tob: when the oldest of its workers began.
        workers: the pids of its workers.
        reincarnations: how many of them took the place of one that has ended.
        sentinel: the pid of who starts them again, a pool's parent or supervisord; 0 if that
            is not known.
        task_q_size: jobs that wait at the job servers, those of other programs too.
        timestamp: of this.
    """

    cluster_id: str
    host: str
    status: str
    tob: datetime
    workers: tuple[int, ...]
    reincarnations: int
    sentinel: int
    task_q_size: int
    timestamp: datetime

    #: Results that are not written yet are with the workers; nobody counts them.
    done_q_size: ClassVar[int] = 0

    @property
    def pid(self) -> int:
        """As `sentinel`: no other process stands above it."""
        return self.sentinel

    def uptime(self) -> float:
        """Return for how many seconds the oldest worker has run."""
        return max(0.0, time.time() - self.tob.timestamp())

    def empty_queues(self) -> bool:
        """Return whether no job waits."""
        return self.task_q_size == 0

    @classmethod
    def get(cls, cluster_id: str) -> Stat | None:
        """Return what a program does; None if it has no worker on this host."""
        return next((each for each in cls.get_all() if each.cluster_id == cluster_id), None)

    @classmethod
    def get_all(cls) -> list[Stat]:
        """Return what each program with workers on this host does."""
        from gearfleet.monitor.sample import Places, take  # which no web process needs

        settings = config.current()
        return stats_of(take(Places(servers=settings.servers, run_dir=settings.run_dir)))


def stats_of(sample: Sample) -> list[Stat]:
    """Return what the workers of `sample` do, by program."""
    waiting = sum(row.waiting for each in sample.servers for row in each.functions.values())
    programs: dict[str, list[BoardEntry]] = defaultdict(list)
    for entry in sample.supervision.workers:
        programs[entry.about.program].append(entry)
    return [
        Stat(
            cluster_id=program,
            host=entries[0].about.host,
            status=_status({entry.state for entry in entries}),
            tob=_oldest(entries),
            workers=tuple(entry.about.pid for entry in entries),
            reincarnations=sum(bool(entry.about.previous) for entry in entries),
            sentinel=_parent(min(entries, key=lambda entry: entry.about.began)),
            task_q_size=waiting,
            timestamp=datetime.fromtimestamp(sample.now, UTC),
        )
        for program, entries in sorted(programs.items())
    ]


def _status(states: set[str]) -> str:
    """Return Django Q's word for what workers do together; one that works is enough for that."""
    if states & {"busy"}:
        return "Working"
    if states & {"idle", "quiet"}:
        return "Idle"
    if states & {"starting"}:
        return "Starting"
    return "Stopping" if states - {"ended"} else "Stopped"


def _parent(entry: BoardEntry) -> int:
    """Return the pid of the parent of a worker; 0 if that is gone, or cannot be seen."""
    return procfs.parent_of(entry.about.pid) if entry.about.is_alive else 0


def _oldest(entries: Sequence[BoardEntry]) -> datetime:
    return datetime.fromtimestamp(min(entry.about.began for entry in entries), UTC)
