"""Rules over the job servers: whose jobs wait, who serves them, and what a restart would lose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.fleet.findings import Finding, finding
from gearfleet.fleet.review import named
from gearfleet.monitor.supervised import processes_of
from gearfleet.monitor.truths import known_as

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.monitor.truths import JobServer, Snapshot, TaskTruth

#: Seconds that a worker may be up and not yet known to its job servers: imports, hooks.
_SETTLED = 30

_LOOPBACK = ("127.", "localhost", "::1", "[::1]")


def review_servers(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield what is wrong with the job servers, and with the tasks there."""
    for server in snapshot.servers:
        if server.silence:
            yield finding("GF601", f"A job server cannot be asked: {server.silence.rstrip('.')}")
            continue
        for rule in (_unserved, _foreign, _unknown_workers, _forgetful, _keepalive):
            yield from rule(snapshot, server)


def _unserved(snapshot: Snapshot, server: JobServer) -> Iterator[Finding]:
    for task in snapshot.code.tasks:
        waiting = _backlog(task, server)
        if waiting:
            yield finding(
                "GF603",
                f"{waiting} of task '{task.name}' at {server.address}, and no worker serves it",
                _remedy(snapshot, task),
            )
        elif not server.serving(task.function):
            yield finding(
                "GF602",
                f"No worker serves task '{task.name}' at {server.address}",
                _remedy(snapshot, task),
            )


def _backlog(task: TaskTruth, server: JobServer) -> str:
    """Say how many jobs of `task` wait at a server where nobody serves them."""
    ready = 0 if server.serving(task.function) else server.waiting(task.function)
    later = 0 if server.serving(task.later) else server.waiting(task.later)
    parts = [(ready, "waiting"), (later, "delayed")]
    return " and ".join(f"{n} {word} job{'s' if n > 1 else ''}" for n, word in parts if n)


def _remedy(snapshot: Snapshot, task: TaskTruth) -> str:
    programs = [each for each in snapshot.fleet.programs if task.name in each.tasks]
    if not programs:
        return f"No program of this host serves queue '{task.queue}': give it processes"
    groups = {name: group.name for group in snapshot.fleet.groups for name in group.programs}
    name = programs[0].name
    start = snapshot.supervision.command("start", groups.get(name, name))
    return f"Program '{name}' serves it: see that it runs ({start}), and look into its log"


def _foreign(snapshot: Snapshot, server: JobServer) -> Iterator[Finding]:
    ours = {name for task in snapshot.code.tasks for name in (task.function, task.later)}
    for row in server.functions.values() if ours else ():
        if row.function not in ours and row.waiting and not row.workers:
            yield finding(
                "GF608",
                f"{row.waiting} jobs of function '{row.function}' wait at {server.address}, no "
                "worker serves it, and no task of this project is called so",
            )


def _unknown_workers(snapshot: Snapshot, server: JobServer) -> Iterator[Finding]:
    known = {row.worker.program for row in server.workers if row.worker.host == snapshot.host}
    workers = {program.name for program in snapshot.fleet.programs if program.tasks}
    for program, processes in processes_of(snapshot).items():
        settled = [p for p in processes if p.is_running and p.now - p.start >= _SETTLED]
        if program in workers and settled and known_as(program) not in known:
            names = named([process.namespec for process in settled])
            message = f"{server.address} knows no worker of program '{program}', which runs"
            yield finding("GF604", f"{message} ({names})")


def _forgetful(snapshot: Snapshot, server: JobServer) -> Iterator[Finding]:
    """Yield delayed jobs, and tasks whose retries are such, at a server that forgets them."""
    if server.is_persistent is not False:
        return
    delayed = sum(server.waiting(task.later) for task in snapshot.code.tasks)
    retried = [task.name for task in snapshot.code.tasks if task.retries]
    if delayed:
        yield finding(
            "GF605", f"{delayed} delayed jobs are at {server.address}, which keeps them in memory"
        )
    elif retried:
        yield finding(
            "GF605",
            f"Tasks are tried again when they fail ({named(retried)}), and {server.address} keeps "
            "such jobs in memory",
        )


def _keepalive(snapshot: Snapshot, server: JobServer) -> Iterator[Finding]:
    if server.is_embedded:
        return
    if server.options is None:
        message = f"The command line of {server.address} cannot be seen from here"
        yield finding("GF607", message)
    elif "keepalive-idle" not in server.options and not _is_private(server):
        yield finding("GF606", f"{server.address} runs without --keepalive-idle")


def _is_private(server: JobServer) -> bool:
    """Tell whether a server listens on this host only: no worker of it can vanish silently."""
    listens = (server.options or {}).get("listen", "")
    return listens.startswith(_LOOPBACK)
