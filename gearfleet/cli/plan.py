"""``gearfleet plan``: the fleet of one host, before anything is written."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.fleets import Planned
    from gearfleet.cli.output import Output
    from gearfleet.fleet import Finding, Fleet, Program

COLUMNS = ("group", "program", "processes", "workers", "tasks", "stops within", "killed after")


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``plan``."""
    from gearfleet.cli.fleets import add_host

    add_host(verbs.add("plan", plan))


def plan(args: argparse.Namespace, output: Output) -> int:
    """Show what the fleet of a host consists of, and what is odd about it."""
    from gearfleet.cli import findings
    from gearfleet.cli.fleets import planned

    made = planned(args)
    found = _findings(made)
    if output.json:
        output.data({**as_data(made.fleet), "findings": findings.as_data(found)})
        return 0
    output.line(_title(made.fleet))
    output.table("", COLUMNS, [_row(*each) for each in _members(made.fleet)])
    findings.show(found, output)
    return 0


def as_data(fleet: Fleet) -> dict[str, Any]:
    """Return the fleet as values of JSON."""
    return {
        "name": fleet.name,
        "host": fleet.host,
        "origin": fleet.origin,
        "processes": sum(program.processes for program in fleet.programs),
        "workers": sum(program.workers for program in fleet.programs),
        "groups": [
            {"name": group, "programs": [_program(program) for _, program in members]}
            for group, members in groupby(_members(fleet), key=itemgetter(0))
        ],
    }


def _findings(made: Planned) -> tuple[Finding, ...]:
    from gearfleet.fleet import lint
    from gearfleet.fleet.findings import in_order
    from gearfleet.fleet.review import review_serving

    serving = review_serving(made.registry, made.fleet, made.others)
    return in_order([*lint(made.fleet), *serving])


def _title(fleet: Fleet) -> str:
    processes = sum(program.processes for program in fleet.programs)
    programs = len(fleet.programs)
    return (
        f"Fleet of {fleet.host or 'any host'}, from {fleet.origin}: "
        f"{_counted(processes, 'process', 'processes')} of "
        f"{_counted(programs, 'program', 'programs')}"
    )


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _members(fleet: Fleet) -> list[tuple[str, Program]]:
    """Return each program with its group; one that is in none makes a group of its own."""
    programs = {program.name: program for program in fleet.programs}
    grouped = [(group.name, name) for group in fleet.groups for name in group.programs]
    alone = [(name, name) for name in programs.keys() - {name for _, name in grouped}]
    return [(group, programs[name]) for group, name in sorted([*grouped, *alone])]


def _row(group: str, program: Program) -> list[str]:
    return [
        group,
        program.name,
        str(program.processes),
        f"{program.workers} in a pool" if program.pool else str(program.workers),
        ", ".join(program.tasks) or "-",
        f"{program.stop_budget:g} s",
        f"{program.options.get('stopwaitsecs', 10)} s",
    ]


def _program(program: Program) -> dict[str, Any]:
    return {
        "name": program.name,
        "app": program.app,
        "worker": program.worker,
        "queue": program.queue,
        "processes": program.processes,
        "pool": program.pool,
        "workers": program.workers,
        "tasks": list(program.tasks),
        "command": list(program.command),
        "stop_budget": program.stop_budget,
        "stopwaitsecs": program.options.get("stopwaitsecs"),
        "drain_timeout": program.drain_timeout,
        "time_limit": program.time_limit,
    }
