"""Quiet and resume: workers that stay, and take no job for a while.

The signal is SIGTSTP, which freezes any process that does not take it. So it is
sent only to those that a board or a job server knows as workers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.supervisor.events import (
    ProcessDown,
    ProcessFailed,
    ProcessQuiet,
    ProcessTold,
    QuietResult,
)
from gearfleet.supervisor.pools import Evidence, Pools
from gearfleet.supervisor.registrations import nobody
from gearfleet.supervisor.targets import select
from gearfleet.supervisor.workers import nothing, workers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.events import Event, Report
    from gearfleet.supervisor.machine import Clock
    from gearfleet.supervisor.processes import Process
    from gearfleet.supervisor.registrations import Ask
    from gearfleet.supervisor.workers import Look, WorkerSeen, WorkersSeen

#: How long the boards may take to show it.
PATIENCE = 10.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What workers are told, and the states that say that they have heard."""

    signal: str
    states: frozenset[str]


#: One that drains takes no job either.
QUIET = Change(signal="TSTP", states=frozenset({"quiet", "draining", "interrupted", "stopping"}))
RESUME = Change(signal="CONT", states=frozenset({"idle", "busy"}))


def tell(
    control: Supervisor,
    targets: Sequence[str],
    change: Change,
    *,
    report: Report,
    boards: Look = nothing,
    registrations: Ask = nobody,
    host: str = "",
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
    clock: Clock = time.monotonic,
) -> QuietResult:
    """Send the signal of `change` to workers, and wait until their boards show it.

    Raises:
        UnknownName: A group or process does not exist; nothing was sent.
        SupervisorError: supervisord cannot be asked.
    """
    everything = control.processes()
    chosen = [each for members in select(everything, targets).values() for each in members]
    known = Evidence(registered=registrations(), seen=boards())
    pools = Pools(host=host, limits=control.limits())
    told: dict[str, Process] = {}
    events: list[Event] = []

    def note(event: Event) -> None:
        events.append(event)
        report(event)

    for process in chosen:
        if not process.is_running:
            note(ProcessDown(name=process.namespec, state=process.state))
        elif _is_worker(process, everything, known, pools, host):
            told[process.namespec] = process
        else:
            note(_not_told(process, change))
    for refusal in control.signal(tuple(told), change.signal):
        process = told.pop(refusal.name)
        note(_failed(process, f"supervisord refused: {refusal.text}"))
    until = clock() + patience
    while told:
        seen = boards()
        for process in list(told.values()):
            event = _outcome(process, seen, change, is_late=clock() >= until)
            if event:
                del told[process.namespec]
                note(event)
        if told:
            sleep(POLL_SECONDS)
    return QuietResult.of(events)


def _is_worker(
    process: Process, everything: Sequence[Process], known: Evidence, pools: Pools, host: str
) -> bool:
    is_registered = any(
        each.pid == process.pid and host in ("", each.host) for each in known.registered
    )
    return bool(
        workers_of(process, known.seen)
        or is_registered
        or pools.members(process, everything, known)
    )


def _not_told(process: Process, change: Change) -> ProcessFailed:
    return _failed(
        process,
        "neither its board nor a job server knows it as a worker, so it was not told: "
        f"SIG{change.signal} would freeze or wake any other process",
    )


def _failed(process: Process, reason: str) -> ProcessFailed:
    return ProcessFailed(name=process.namespec, state=process.state, reason=reason)


def _outcome(
    process: Process, seen: WorkersSeen, change: Change, *, is_late: bool
) -> ProcessQuiet | ProcessTold | ProcessFailed | None:
    """Return what came of it, or None while that is open."""
    workers = workers_of(process, seen)
    if not workers:
        return ProcessTold(name=process.namespec, signal=change.signal)
    deaf = [worker for worker in workers if worker.state not in change.states]
    if not deaf:
        return _heard(process, workers, change)
    if is_late:
        states = ", ".join(sorted({worker.state for worker in deaf}))
        return _failed(process, f"it was told, and is still {states}")
    return None


def _heard(process: Process, workers: Sequence[WorkerSeen], change: Change) -> ProcessQuiet:
    return ProcessQuiet(
        name=process.namespec,
        is_quiet=change is QUIET,
        workers=len(workers),
        tasks=tuple(task for worker in workers for task in worker.tasks),
    )
