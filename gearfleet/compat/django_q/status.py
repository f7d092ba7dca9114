"""Django Q's `Stat`: what the workers of this host do, a program for each of its clusters."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from gearfleet import config

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
        status: ``Starting``, ``Idle``, ``Working`` or ``Stopping``.
        tob: when the oldest of its workers began.
        workers: the pids of its workers.
        task_q_size: jobs that wait at the job servers, those of other programs too.
    """

    cluster_id: str
    host: str
    status: str
    tob: datetime
    workers: tuple[int, ...]
    task_q_size: int

    #: Results that are not written yet are with the workers; nobody counts them.
    done_q_size: ClassVar[int] = 0

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
            task_q_size=waiting,
        )
        for program, entries in sorted(programs.items())
    ]


def _status(states: set[str]) -> str:
    """Return Django Q's word for what workers do together; one that works is enough for that."""
    if states & {"busy"}:
        return "Working"
    if states & {"idle", "quiet"}:
        return "Idle"
    return "Starting" if states & {"starting"} else "Stopping"


def _oldest(entries: Sequence[BoardEntry]) -> datetime:
    return datetime.fromtimestamp(min(entry.about.began for entry in entries), UTC)
