"""What is said about events and results, in lines; both doors print the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gearfleet.supervisor.events import (
    AlreadyCurrent,
    Halted,
    JobServerSilent,
    PoolLeft,
    PoolRenewing,
    ProcessBack,
    ProcessDown,
    ProcessFailed,
    ProcessKilled,
    ProcessQuiet,
    ProcessStarted,
    ProcessStopped,
    ProcessStopping,
    ProcessTold,
    ProcessUnchanged,
    RolloutStarted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gearfleet.supervisor.events import Event, QuietResult, RolloutResult, SwitchResult
    from gearfleet.supervisor.processes import Process


def text(event: Event) -> str:
    """Return what is said about `event`; empty for one that is told by the next one anyway."""
    return _TEXTS[type(event)](event)


def _nothing(_event: Event) -> str:
    return ""


def _back(event: ProcessBack) -> str:
    if event.pid_before == event.pid_after:
        return (
            f"{event.name}: renewed (pid {event.pid_after} stays, {event.workers} new workers, "
            f"{event.seconds:.1f} s)"
        )
    pids = f"pid {event.pid_before} -> {event.pid_after}"
    return f"{event.name}: restarted ({pids}, {event.seconds:.1f} s)"


def _started(event: RolloutStarted) -> str:
    if not event.names and not event.awaited:
        return f"{event.group}: none of the processes is running"
    count = len(event.names) + len(event.awaited)
    first = (
        f"{event.group}: restarting {_processes(count)}, at most {event.wave} at a time, "
        f"in {event.at_least:g} s or more; jobs in hand are finished"
    )
    alone = (f"{name}: the only one of its program, away meanwhile" for name in event.singles)
    awaited = (f"{name}: taken when it is RUNNING" for name in event.awaited)
    pools = (f"{name}: a pool, which stays and replaces its workers" for name in event.pools)
    return "\n".join((first, *alone, *pools, *awaited))


def _halted(event: Halted) -> str:
    if not event.waiting_for:
        return f"halted: {event.reason}"
    waiting = ", ".join(event.waiting_for)
    return (
        f"halted: {event.reason}; waiting for {waiting} to finish the job in hand, "
        "to start it again"
    )


def summary(result: RolloutResult) -> str:
    """Return the line that closes the restart of a group."""
    counts = [f"{len(result.restarted)} restarted"]
    counts += [
        f"{len(group)} {word}"
        for word, group in (
            ("failed", result.failed),
            ("killed", result.killed),
            ("down before", result.down),
            ("started again", result.resumed),
            ("being renewed", result.renewing),
            ("current before", result.current),
            ("untouched", result.untouched),
        )
        if group
    ]
    if not result.total:
        return f"{result.group}: {', '.join(counts)}"
    return (
        f"{result.group}: {', '.join(counts)} in {result.seconds:.1f} s; "
        f"never fewer than {result.lowest_running} of {result.total} running"
    )


def advice(result: RolloutResult) -> list[str]:
    """Return what went wrong with the restart of a group and what to do next, if anything did."""
    said = []
    if result.halted:
        said.append(f"{result.group}: {result.halted}.")
    if result.untouched:
        said.append(f"Not restarted, still running as before: {', '.join(result.untouched)}.")
    for failed in result.failed:
        said.append(
            f"See why with `supervisorctl tail {failed.name}`; when that is mended, "
            f"`supervisorctl start {failed.name}` if it is down, and restart {result.group} again."
        )
    if result.killed:
        said.append(_about_killed([killed.name for killed in result.killed]))
    if not (result.restarted or result.current or said):
        said.append(f"{result.group}: nothing was running; start it instead.")
    return said


def switch_summary(result: SwitchResult) -> str:
    """Return the line that closes a stop or start."""
    counts = [
        f"{len(group)} {word}"
        for word, group in (
            ("done", result.changed),
            ("unchanged", result.unchanged),
            ("failed", result.failed),
            ("not waited for", result.pending),
        )
        if group
    ]
    return f"{', '.join(counts) or 'nothing to do'} in {result.seconds:.1f} s"


def switch_advice(result: SwitchResult) -> list[str]:
    """Return what went wrong with a stop or start and what to do next, if anything did."""
    said = [f"See why with `supervisorctl tail {failed.name}`." for failed in result.failed]
    if result.killed:
        said.append(_about_killed([killed.name for killed in result.killed]))
    if result.pending:
        said.append(f"supervisord goes on with: {', '.join(result.pending)}.")
    return said


def _about_killed(names: Sequence[str]) -> str:
    return (
        f"Killed after stopwaitsecs, with the job in hand: {', '.join(names)}. "
        "Give it a stopwaitsecs longer than its longest job."
    )


def quiet_summary(result: QuietResult) -> str:
    """Return the line that closes a quiet or resume."""
    counts = (
        (result.done, "done"),
        (result.told, "told"),
        (result.failed, "failed"),
        (result.down, "not running"),
    )
    said = ", ".join(f"{len(group)} {word}" for group, word in counts if group)
    return said or "nothing to do"


def status_lines(processes: Sequence[Process]) -> list[str]:
    """Return a line per process, as `supervisorctl status` does."""
    width = max((len(process.namespec) for process in processes), default=0)
    return [
        f"{process.namespec:<{width}}  {process.state:<8}  {_description(process)}".rstrip()
        for process in processes
    ]


def status_summary(processes: Sequence[Process]) -> str:
    """Return how many processes are in which state."""
    counts = Counter(str(process.state) for process in processes)
    return ", ".join(f"{count} {state}" for state, count in counts.most_common()) or "no process"


def _description(process: Process) -> str:
    return process.description or process.spawnerr


def _killed(event: ProcessKilled) -> str:
    return f"{event.name}: KILLED after {event.seconds:.0f} s, its job was cut short"


def _failed(event: ProcessFailed) -> str:
    return f"{event.name}: FAILED, {event.state}: {event.reason}"


def _down(event: ProcessDown) -> str:
    detail = f" ({event.detail})" if event.detail else ""
    return f"{event.name}: {event.state} before, left as it is{detail}"


def _process_started(event: ProcessStarted) -> str:
    return f"{event.name}: started (pid {event.pid}, {event.seconds:.1f} s)"


def _process_stopped(event: ProcessStopped) -> str:
    return f"{event.name}: stopped ({event.seconds:.1f} s)"


def _unchanged(event: ProcessUnchanged) -> str:
    return f"{event.name}: already {event.state}"


def _pool_left(event: PoolLeft) -> str:
    return f"{event.name}: goes on replacing its workers by itself"


def _quiet(event: ProcessQuiet) -> str:
    who = f" ({event.workers} workers)" if event.workers > 1 else ""
    if not event.is_quiet:
        return f"{event.name}: takes jobs again{who}"
    in_hand = f", finishing {', '.join(event.tasks)}" if event.tasks else ""
    return f"{event.name}: quiet{who}{in_hand}"


def _told(event: ProcessTold) -> str:
    return f"{event.name}: told by SIG{event.signal}; what came of it is not seen from here"


def _current(event: AlreadyCurrent) -> str:
    count = _processes(len(event.names))
    return f"{event.group}: {count} of release {event.release} already, left as they are"


def _silent(event: JobServerSilent) -> str:
    return (
        f"job server {event.server} does not tell who is registered ({event.reason}); "
        "going on without it"
    )


_TEXTS: dict[type[Event], Callable[[Any], str]] = {
    RolloutStarted: _started,
    ProcessStopping: _nothing,
    ProcessBack: _back,
    ProcessKilled: _killed,
    ProcessFailed: _failed,
    ProcessDown: _down,
    ProcessStarted: _process_started,
    ProcessStopped: _process_stopped,
    ProcessUnchanged: _unchanged,
    PoolRenewing: _nothing,
    PoolLeft: _pool_left,
    ProcessQuiet: _quiet,
    ProcessTold: _told,
    AlreadyCurrent: _current,
    Halted: _halted,
    JobServerSilent: _silent,
}


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"
