"""Rules over supervisord's processes, and over the workers of its host."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from gearfleet.fleet.checks.host import expansions
from gearfleet.fleet.findings import Finding, finding
from gearfleet.fleet.quoting import expand
from gearfleet.fleet.review import named
from gearfleet.monitor.truths import known_as
from gearfleet.supervisor.processes import Process, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gearfleet.fleet import Fleet, Program
    from gearfleet.monitor.truths import Snapshot

#: supervisord's own descriptors: sockets, log, connections of clients.
_OWN_DESCRIPTORS = 100

_APPLY = "Bring supervisord to the plan: gearfleet apply -o DIR -c FILE"

#: Exit codes that a rendered program is not started again for (docs/reference/exit-codes.md).
_MEANINGS = {
    2: "its command line names something that does not exist",
    3: "its tasks do not import",
    78: "its settings cannot be used",
}


def review_supervision(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield what is wrong with supervisord, its processes, and the workers of its host."""
    seen = snapshot.supervision
    if seen.silence:
        yield finding("GF501", _unreachable(snapshot))
    else:
        yield from _states(snapshot)
        yield from _unknown(snapshot)
        yield from _unplanned(snapshot)
        yield from _descriptors(snapshot)
    yield from _releases(snapshot)
    yield from _plugin(snapshot)


def planned_processes(fleet: Fleet) -> dict[tuple[str, str], Program]:
    """Return the program of each process of the plan, by group and name."""
    homes = {name: group.name for group in fleet.groups for name in group.programs}
    return {
        (group, expand(str(program.options["process_name"]), names)): program
        for program in fleet.programs
        for group in [homes.get(program.name, program.name)]
        for names in expansions(group, program)
    }


def processes_of(snapshot: Snapshot) -> dict[str, list[Process]]:
    """Return supervisord's processes by program of the plan; without a plan all of them."""
    programs = planned_processes(snapshot.fleet)
    found: dict[str, list[Process]] = defaultdict(list)
    for process in snapshot.supervision.processes:
        if not programs:
            found[process.program].append(process)
        elif program := programs.get((process.group, process.name)):
            found[program.name].append(process)
    return found


def _unreachable(snapshot: Snapshot) -> str:
    seen = snapshot.supervision
    where = f" ({seen.address})" if seen.address and seen.address not in seen.silence else ""
    return f"supervisord{where} cannot be asked: {seen.silence.rstrip('.')}"


def _states(snapshot: Snapshot) -> Iterator[Finding]:
    for program, processes in processes_of(snapshot).items():
        by_state: dict[State, list[Process]] = defaultdict(list)
        for process in processes:
            if not process.is_unsettled:
                by_state[process.state].append(process)
        for state, members in by_state.items():
            yield from _state(snapshot, program, state, members, len(processes))


def _state(
    snapshot: Snapshot, program: str, state: State, members: Sequence[Process], total: int
) -> Iterator[Finding]:
    code = _CODES.get(state)
    if code is None:
        return
    names = [process.namespec for process in members]
    target = members[0].group if len(members) == total else " ".join(sorted(names))
    start = snapshot.supervision.command("start", target)
    log = f"supervisorctl tail {members[0].namespec} shows its log"
    message = f"{len(members)} of {total} processes of program '{program}' {_VERBS[state]}"
    yield finding(
        code,
        f"{message} ({named(names)}){_why(members[0])}",
        f"Start them with {start}"
        if state is State.STOPPED
        else f"Mend the cause ({log}), then {start}",
    )


_CODES = {
    State.FATAL: "GF502",
    State.UNKNOWN: "GF502",
    State.BACKOFF: "GF503",
    State.EXITED: "GF504",
    State.STOPPED: "GF505",
}
_VERBS = {
    State.FATAL: "are FATAL",
    State.UNKNOWN: "are in a state that supervisord does not know itself",
    State.BACKOFF: "end before they have started",
    State.EXITED: "have ended",
    State.STOPPED: "are stopped",
}


def _why(process: Process) -> str:
    if process.state is State.EXITED:
        meaning = _MEANINGS.get(process.exitstatus)
        return f": exit code {process.exitstatus}" + (f", {meaning}" if meaning else "")
    return f": {process.spawnerr}" if process.spawnerr else ""


def _unknown(snapshot: Snapshot) -> Iterator[Finding]:
    known = {(process.group, process.name) for process in snapshot.supervision.processes}
    missing: dict[str, list[str]] = defaultdict(list)
    for (group, name), program in planned_processes(snapshot.fleet).items():
        if (group, name) not in known:
            missing[program.name].append(name)
    for program_name, names in missing.items():
        yield finding(
            "GF506",
            f"supervisord does not know {len(names)} processes of program '{program_name}' "
            f"({named(names)})",
            _APPLY,
        )


def _unplanned(snapshot: Snapshot) -> Iterator[Finding]:
    planned = planned_processes(snapshot.fleet)
    groups = {group for group, _ in planned}
    for process in snapshot.supervision.processes:
        if process.group in groups and (process.group, process.name) not in planned:
            yield finding(
                "GF507",
                f"supervisord has the process {process.namespec} ({process.state}), which is not "
                "in the plan",
                _APPLY,
            )


def _descriptors(snapshot: Snapshot) -> Iterator[Finding]:
    limit = snapshot.supervision.descriptors
    needed = needed_descriptors(snapshot)
    if limit is not None and needed > limit:
        yield finding(
            "GF509",
            f"supervisord may open {limit} files, but its processes need {needed}",
            f"Set minfds={needed} in [supervisord], and restart supervisord",
        )


def needed_descriptors(snapshot: Snapshot) -> int:
    """Return how many descriptors supervisord needs: two a process with one log, else three."""
    planned = planned_processes(snapshot.fleet)
    one_log = sum(bool(program.options.get("redirect_stderr")) for program in planned.values())
    others = {(each.group, each.name) for each in snapshot.supervision.processes} - planned.keys()
    return 2 * one_log + 3 * (len(planned) - one_log + len(others)) + _OWN_DESCRIPTORS


def releases_of(snapshot: Snapshot) -> Mapping[str, list[str]]:
    """Return the release of each worker of this host, and of others, by program of the plan."""
    found: dict[str, list[str]] = defaultdict(list)
    names = {known_as(program.name): program.name for program in snapshot.fleet.programs}
    for entry in snapshot.supervision.workers:
        if entry.about.program in names.values():
            found[entry.about.program].append(entry.about.release)
    here = {entry.about.pid for entry in snapshot.supervision.workers}
    elsewhere = {
        (row.worker, row.release)
        for server in snapshot.servers
        for row in server.workers
        if row.worker.host != snapshot.host or row.worker.pid not in here
    }
    for worker, release in elsewhere:
        if worker.program in names:
            found[names[worker.program]].append(release)
    return found


def _releases(snapshot: Snapshot) -> Iterator[Finding]:
    current = snapshot.code.release
    groups = {name: group.name for group in snapshot.fleet.groups for name in group.programs}
    for program, releases in releases_of(snapshot).items():
        # A job server may have been told the beginning of a long one only.
        old = [each for each in releases if each and current and not current.startswith(each)]
        if old:
            yield finding(
                "GF508",
                f"{len(old)} of {len(releases)} workers of program '{program}' run release "
                f"{named(sorted(set(old)))}, and the code here is {current}",
                f"Run {snapshot.supervision.command('restart', groups.get(program, program))}",
            )


def _plugin(snapshot: Snapshot) -> Iterator[Finding]:
    plugin = snapshot.supervision.plugin
    if plugin is None:
        return
    if not plugin.is_there:
        yield finding("GF511", "The main file has no section [ctlplugin:gearfleet]")
    elif plugin.silence:
        yield finding("GF512", f"supervisorctl cannot be asked for its plugin: {plugin.silence}")
    elif plugin.problem:
        yield finding("GF510", f"supervisorctl does not load the plugin: {plugin.problem}")
