"""What a sample means, in rows: servers, queues, programs, processes. Pure.

Rates are of the time between two samples; in the first one, of the time since each worker
began, as in vmstat.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gearfleet.supervisor.control import LOOPBACK
from gearfleet.tasks.naming import later_function

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gearfleet.monitor.sample import Sample
    from gearfleet.monitor.truths import JobServer
    from gearfleet.supervisor.processes import Process
    from gearfleet.worker.boards import BoardEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRow:
    """A job server; the counts are of all its functions, 0 if it is down."""

    address: str
    is_up: bool
    version: str
    workers: int
    waiting: int
    running: int
    silence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRow:
    """A function at all job servers together.

    Attributes:
        queue: of its task; empty where the project has no such task.
        function: under which its jobs are queued.
        waiting: jobs that no worker has.
        delayed: jobs for later, and attempts that come again.
        running: jobs that workers have.
        workers: that serve it.
    """

    queue: str
    function: str
    waiting: int
    delayed: int
    running: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRow:
    """A worker, or another process of supervisord.

    Attributes:
        program: that it belongs to.
        process: its name, as supervisord has it; for a worker of a pool, with its place there.
        pid: 0 while nothing runs.
        state: of a worker: what it does; of others: supervisord's word.
        supervised: supervisord's word; empty where supervisord does not have it.
        tasks: of the jobs in hand.
        handles: of the jobs in hand.
        seconds: for how long it has had the oldest one; 0 without a job.
        done: how many jobs had a result.
        failed: how many failed.
        rate: jobs a second.
        rss_bytes: memory.
        is_worker: whether it is one of ours.
    """

    program: str
    process: str
    pid: int
    state: str
    supervised: str = ""
    tasks: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    seconds: float = 0.0
    done: int = 0
    failed: int = 0
    rate: float = 0.0
    rss_bytes: int = 0
    is_worker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRow:
    """A program: what its processes do together.

    Attributes:
        program: its name.
        processes: how many there are.
        up: how many of them run.
        busy: how many have a job in hand.
        done: jobs that had a result.
        failed: jobs that failed.
        rate: jobs a second.
        rss_bytes: memory.
    """

    program: str
    processes: int
    up: int
    busy: int
    done: int
    failed: int
    rate: float
    rss_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that is shown of one moment.

    Attributes:
        now: when that was, in seconds since the epoch.
        supervisord: where it was asked; empty where nobody knows that.
        silence: why supervisord said nothing; empty if it did.
        servers: job servers.
        queues: functions.
        programs: of supervisord, and of workers that it does not have.
        processes: likewise.
    """

    now: float
    supervisord: str
    silence: str
    servers: tuple[ServerRow, ...]
    queues: tuple[QueueRow, ...]
    programs: tuple[ProgramRow, ...]
    processes: tuple[ProcessRow, ...]


def view_of(sample: Sample, before: Sample | None = None) -> View:
    """Return what `sample` shows, with rates since the one `before`."""
    processes = tuple(_processes(sample, before))
    return View(
        now=sample.now,
        supervisord=sample.supervision.address,
        silence=sample.supervision.silence,
        servers=tuple(map(_server, sample.servers)),
        queues=tuple(_queues(sample)),
        programs=tuple(_programs(processes)),
        processes=processes,
    )


def _server(server: JobServer) -> ServerRow:
    rows = server.functions.values()
    return ServerRow(
        address=server.address,
        is_up=not server.silence,
        version=server.version,
        workers=len(server.workers) + server.others,
        waiting=sum(row.waiting for row in rows),
        running=sum(row.running for row in rows),
        silence=server.silence,
    )


def _queues(sample: Sample) -> Iterator[QueueRow]:
    """Yield every task of the project, then whatever else the job servers know."""
    queues = {task.function: task.queue for task in sample.tasks}
    known = {name for server in sample.servers for name in server.functions}
    later = {later_function(name) for name in {*queues, *known}}
    rows = [
        _queue(name, queues.get(name, ""), sample.servers) for name in {*queues, *known} - later
    ]
    yield from sorted(rows, key=lambda row: (not row.queue, row.queue, row.function))


def _queue(function: str, queue: str, servers: Sequence[JobServer]) -> QueueRow:
    rows = [row for server in servers if (row := server.functions.get(function))]
    return QueueRow(
        queue=queue,
        function=function,
        waiting=sum(row.waiting for row in rows),
        delayed=sum(server.waiting(later_function(function)) for server in servers),
        running=sum(row.running for row in rows)
        + sum(server.running(later_function(function)) for server in servers),
        workers=sum(row.workers for row in rows),
    )


def _processes(sample: Sample, before: Sample | None) -> Iterator[ProcessRow]:
    seen = sample.supervision
    rates = _rates(sample, before)
    by_name: dict[str, list[BoardEntry]] = defaultdict(list)
    for entry in seen.workers if _is_here(seen.address) else ():
        by_name[entry.about.slot.partition("/")[0]].append(entry)
    supervised = set()
    for process in sorted(seen.processes, key=lambda each: each.namespec):
        entries = [entry for entry in by_name[process.name] if _is_of(entry, process)]
        for entry in entries:
            supervised.add(entry.path)
            yield _worker(entry, sample.now, rates[entry.path], process)
        if not entries:
            yield _other(process)
    for entry in seen.workers:
        if entry.path not in supervised:
            yield _worker(entry, sample.now, rates[entry.path])


def _is_here(address: str) -> bool:
    """Tell whether a supervisord's processes are of this host, as the boards are."""
    return address.startswith("unix:") or urlsplit(address).hostname in LOOPBACK


def _is_of(entry: BoardEntry, process: Process) -> bool:
    """Tell whether a worker of the name of a process is that process, or of its pool."""
    is_of_pool = "/" in entry.about.slot
    return process.pid != 0 and (is_of_pool or entry.about.pid == process.pid)


def _rates(sample: Sample, before: Sample | None) -> Mapping[Path, float]:
    earlier = {entry.path: _ended(entry) for entry in before.supervision.workers} if before else {}
    rates: dict[Path, float] = {}
    for entry in sample.supervision.workers:
        is_known = entry.path in earlier
        since = before.now if before and is_known else entry.about.began
        seconds = sample.now - since
        ended = _ended(entry) - earlier.get(entry.path, 0)
        rates[entry.path] = max(0.0, ended / seconds) if seconds > 0 else 0.0
    return rates


def _ended(entry: BoardEntry) -> int:
    return entry.done + entry.failed


def _worker(
    entry: BoardEntry, now: float, rate: float, process: Process | None = None
) -> ProcessRow:
    about = entry.about
    _, is_of_pool, place = about.slot.partition("/")
    name = process.namespec if process else about.slot.partition("/")[0] or about.program
    return ProcessRow(
        program=about.program,
        process=f"{name}/{place}" if is_of_pool else name,
        pid=about.pid,
        state=entry.state,
        supervised=process.state.value if process else "",
        tasks=tuple(job.task or job.function for job in entry.jobs),
        handles=tuple(job.handle for job in entry.jobs),
        seconds=max((max(0.0, now - job.started) for job in entry.jobs), default=0.0),
        done=entry.done,
        failed=entry.failed,
        rate=rate,
        rss_bytes=entry.rss_bytes,
        is_worker=True,
    )


def _other(process: Process) -> ProcessRow:
    return ProcessRow(
        program=process.program,
        process=process.namespec,
        pid=process.pid,
        state=process.state.value,
        supervised=process.state.value,
    )


def _programs(processes: Iterable[ProcessRow]) -> Iterator[ProgramRow]:
    members: dict[str, list[ProcessRow]] = defaultdict(list)
    for row in processes:
        members[row.program].append(row)
    for program, rows in sorted(members.items()):
        yield ProgramRow(
            program=program,
            processes=len(rows),
            up=sum(row.is_worker or row.supervised == "RUNNING" for row in rows),
            busy=sum(bool(row.tasks) for row in rows),
            done=sum(row.done for row in rows),
            failed=sum(row.failed for row in rows),
            rate=sum(row.rate for row in rows),
            rss_bytes=sum(row.rss_bytes for row in rows),
        )
