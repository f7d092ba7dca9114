"""restart, stop, start and status: what supervisorctl and the command line call.

Each takes a `Supervisor` and the names that the user gave, and returns what came
of it; those that change something tell `report` what happens meanwhile. Nothing
is printed here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gearfleet.supervisor.drive import drive
from gearfleet.supervisor.events import AlreadyCurrent, RolloutResult
from gearfleet.supervisor.machine import START_TIMEOUT
from gearfleet.supervisor.pools import Evidence, runs
from gearfleet.supervisor.registrations import nobody
from gearfleet.supervisor.rollout import Rollout
from gearfleet.supervisor.switch import Starting, Stopping
from gearfleet.supervisor.targets import EVERY, select
from gearfleet.supervisor.waves import DEFAULT_MAX_UNAVAILABLE
from gearfleet.supervisor.workers import nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.supervisor.control import Supervisor
    from gearfleet.supervisor.events import Report, SwitchResult
    from gearfleet.supervisor.machine import Clock
    from gearfleet.supervisor.processes import Process
    from gearfleet.supervisor.registrations import Ask
    from gearfleet.supervisor.waves import MaxUnavailable
    from gearfleet.supervisor.workers import Look


def restart(
    control: Supervisor,
    targets: Sequence[str],
    *,
    report: Report,
    max_unavailable: MaxUnavailable = DEFAULT_MAX_UNAVAILABLE,
    timeout: float = START_TIMEOUT,
    registrations: Ask = nobody,
    boards: Look = nothing,
    host: str = "",
    pause: float = 0.0,
    release: str = "",
    clock: Clock = time.monotonic,
) -> tuple[RolloutResult, ...]:
    """Restart groups in waves, one group after the other, and return a result for each.

    After a group that had to be halted the remaining ones are left untouched.

    Args:
        control: the supervisord.
        targets: each `GROUP`, `GROUP:PROCESS` or `all`.
        report: told of every event.
        max_unavailable: how many processes of a group may be away at the same time.
        timeout: seconds that a started process has, beyond its startsecs, to serve again.
        registrations: asks the job servers who is known there.
        boards: looks at the workers of this host.
        host: of the supervisord, as the job servers show it; empty where nobody knows.
        pause: seconds in which nothing is taken after a process has come back.
        release: leave those alone that run it already; empty for restarting all.
        clock: monotonic seconds.

    Raises:
        UnknownName: A group or process does not exist; nothing was touched.
        SupervisorError: supervisord cannot be asked; what was stopped has been
            started again, as far as it still answered.
    """
    limits = control.limits()
    results: list[RolloutResult] = []
    for group, members in select(control.processes(), targets).items():
        if any(result.halted for result in results):
            results.append(_not_begun(group, tuple(process.namespec for process in members)))
            continue
        before = Evidence(registered=registrations(), seen=boards())
        current = _current(members, before, release, host) if release else ()
        if current:
            report(AlreadyCurrent(group=group, names=current, release=release))
        rollout = Rollout(
            group,
            [process.namespec for process in members if process.namespec not in current],
            max_unavailable=max_unavailable,
            pause=pause,
            timeout=timeout,
            limits=limits,
            before=before,
            host=host,
            current=current,
            clock=clock,
        )
        drive(rollout, control, report=report, ask=registrations, look=boards, clock=clock)
        results.append(rollout.result())
    return tuple(results)


def _current(
    members: Sequence[Process], before: Evidence, release: str, host: str
) -> tuple[str, ...]:
    """Return those that run the release already."""
    return tuple(each.namespec for each in members if runs(each, before, release, host=host))


def _not_begun(group: str, names: tuple[str, ...]) -> RolloutResult:
    return RolloutResult(group=group, untouched=names, halted="a group before it was halted")


def stop(
    control: Supervisor, targets: Sequence[str], *, report: Report, clock: Clock = time.monotonic
) -> SwitchResult:
    """Stop all processes of the targets at the same time, and wait until their jobs are done.

    Each has until its stopwaitsecs. Raises like `restart`.
    """
    names = _names(control, targets)
    machine = Stopping(names, limits=control.limits(), clock=clock)
    drive(machine, control, report=report, clock=clock)
    return machine.result()


def start(
    control: Supervisor,
    targets: Sequence[str],
    *,
    report: Report,
    timeout: float = START_TIMEOUT,
    clock: Clock = time.monotonic,
) -> SwitchResult:
    """Start all processes of the targets at the same time, and wait until they are RUNNING.

    Each has `timeout` seconds beyond its startsecs. Raises like `restart`.
    """
    names = _names(control, targets)
    machine = Starting(names, timeout=timeout, limits=control.limits(), clock=clock)
    drive(machine, control, report=report, clock=clock)
    return machine.result()


def status(control: Supervisor, targets: Sequence[str] = ()) -> tuple[Process, ...]:
    """Return the processes of the targets, or all; ask `is_healthy` of each.

    Raises:
        UnknownName: A group or process does not exist.
        SupervisorError: supervisord cannot be asked.
    """
    chosen = select(control.processes(), targets or [EVERY])
    return tuple(process for members in chosen.values() for process in members)


def _names(control: Supervisor, targets: Sequence[str]) -> list[str]:
    return [process.namespec for process in status(control, targets)] if targets else []
