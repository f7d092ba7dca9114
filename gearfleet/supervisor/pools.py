"""The pools among supervisord's processes: which workers each has, and whether they are new.

A pool takes new code on SIGHUP: it replaces its workers one after the other, and
its pid stays, so supervisord sees nothing of it. Who does is the run directory,
where the supervisord is on this host; else the job servers, which do not tell
which of several pools of one program a worker belongs to. So they are asked only
for pools that are seen to be some, one at a time: by the command, or because all
workers of the program that a job server knows are none of supervisord's processes.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gearfleet.supervisor.workers import of_process, workers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gearfleet.supervisor.processes import Limits, Process
    from gearfleet.supervisor.registrations import Registrations
    from gearfleet.supervisor.workers import WorkersSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of the workers behind supervisord's processes at a moment.

    Attributes:
        seen: by the boards of this host.
        registered: at the job servers.
    """

    seen: WorkersSeen = ()
    registered: Registrations = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The workers of a pool, or of all pools of its program.

    Attributes:
        pids: of all of them, also of those that finish their last job.
        serving: those that take jobs.
        pools: how many pools they belong to.
    """

    pids: frozenset[int] = frozenset()
    serving: frozenset[int] = frozenset()
    pools: int = 1

    def are_renewed(self, before: Members) -> bool:
        """Return whether one pool has only workers that were not there `before`."""
        size = len(before.pids) // before.pools
        fresh = self.serving - before.pids
        left = self.pids & before.pids
        return len(fresh) >= size and len(left) <= len(before.pids) - size


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Tells pools from single workers.

    Attributes:
        host: as the job servers show the one of this supervisord; empty where nobody knows.
        limits: of the processes, with their commands.
    """

    host: str = ""
    limits: Mapping[str, Limits] = field(default_factory=dict)

    def members(
        self, process: Process, processes: Sequence[Process], evidence: Evidence
    ) -> Members | None:
        """Return the workers of a pool; None for another process, or when nobody sees them."""
        seen = workers_of(process, evidence.seen)
        if workers := [each for each in seen if each.is_of_pool]:
            return Members(
                pids=frozenset(worker.pid for worker in workers),
                serving=frozenset(worker.pid for worker in workers if worker.is_serving),
            )
        if seen or not process.is_running or not self.host:
            return None
        return self._registered(process, processes, evidence.registered)

    def _registered(
        self, process: Process, processes: Iterable[Process], registered: Registrations
    ) -> Members | None:
        known = {each.pid for each in registered if each.is_of(process.program, self.host)}
        pids = frozenset(known.difference(each.pid for each in processes))
        if not self._is_pool(process, are_all_strangers=pids == known):
            return None
        siblings = [
            each for each in processes if each.program == process.program and each.is_running
        ]
        return Members(pids=pids, serving=pids, pools=len(siblings)) if pids else None

    def _is_pool(self, process: Process, *, are_all_strangers: bool) -> bool:
        # XML-RPC tells the command, but not GEARFLEET_PROCESSES in the environment.
        limits = self.limits.get(process.namespec)
        command = limits.command if limits is not None else ""
        return names_a_pool(command) or (are_all_strangers and names_a_worker(command))


def names_a_worker(command: str) -> bool:
    """Return whether a command line starts gearfleet's workers: one, or a pool of them."""
    return bool(re.search(r"(?<=\s)(gearman_)?worker(?=\s|$)", command))


def names_a_pool(command: str) -> bool:
    """Return whether a command line starts a pool.

    Example:
        >>> names_a_pool("/srv/bin/gearfleet worker -a shop -n worker_bar --processes=4")
        True
        >>> names_a_pool("/srv/bin/gearfleet worker -a shop -n worker_bar")
        False
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return any(re.fullmatch(r"(--processes|-w)(=.*)?|-w\d+", word) for word in words)


def killed_among(pids: Iterable[int], process: Process, seen: WorkersSeen) -> frozenset[int]:
    """Return those of `pids`, workers of a process, that ended without saying goodbye."""
    known = frozenset(pids)
    return frozenset(
        worker.pid
        for worker in seen
        if worker.was_killed and worker.process == process.name and worker.pid in known
    )


def is_busy(process: Process, seen: WorkersSeen) -> bool:
    """Return whether a job is in hand behind a process."""
    return any(worker.tasks for worker in of_process(process, seen))


def runs(process: Process, known: Evidence, release: str, *, host: str = "") -> bool:
    """Return whether all that is known of the workers behind a process is of a release.

    Of those behind which nobody is known, nobody can say it.
    """
    seen = [worker.release == release for worker in workers_of(process, known.seen)]
    registered = [
        each.has_release(release)
        for each in known.registered
        if process.pid and each.pid == process.pid and host in ("", each.host)
    ]
    return all(seen or registered) and bool(seen or registered)
