"""Rules over the plan and the tasks: who serves what, and how long a job may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gearfleet.fleet.findings import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gearfleet.fleet.model import Fleet, Program
    from gearfleet.tasks import Registry, Task

#: How many tasks a message names; the rest is counted.
_NAMED = 5


def review_serving(
    registry: Registry, fleet: Fleet, others: Mapping[str, Fleet]
) -> Iterator[Finding]:
    """Yield tasks that no program of `fleet` serves, and programs that serve no task.

    `others` are the fleets of the other hosts, by name.
    """
    here = _served(fleet)
    elsewhere = {host: _served(other) for host, other in others.items()}
    for task in registry.tasks:
        if task.name not in here:
            hosts = [host for host, served in elsewhere.items() if task.name in served]
            yield _unserved(task, hosts)
    for program in fleet.programs:
        if program.worker and not program.tasks:
            yield finding("GF112", f"Program '{program.name}' serves no task")


def review_limits(registry: Registry, fleet: Fleet) -> Iterator[Finding]:
    """Yield tasks that may run longer than a stopping worker waits, and those without a limit."""
    tasks = {task.name: task for task in registry.tasks}
    for program in fleet.programs:
        served = [tasks[name] for name in program.tasks if name in tasks]
        yield from (_too_long(task, program) for task in served if _is_too_long(task, program))
        if endless := [task for task in served if _limit(task, program) == 0]:
            yield _endless(endless, program)


def named(names: list[str]) -> str:
    """Return the first of `names`, and how many more there are.

    Example:
        >>> named(["b", "a"]), named(list("abcdefg"))
        ('a, b', 'a, b, c, d, e and 2 more')
    """
    shown = sorted(names)
    rest = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return ", ".join(shown[:_NAMED]) + rest


def _served(fleet: Fleet) -> frozenset[str]:
    return frozenset(name for program in fleet.programs for name in program.tasks)


def _unserved(task: Task[Any, Any], hosts: list[str]) -> Finding:
    whose = f"Task '{task.name}' of queue '{task.queue}'"
    if hosts:
        message = f"{whose} is served by no program of this host, but by {', '.join(hosts)}"
        return finding("GF111", message, place=_place(task))
    return finding("GF110", f"{whose} is served by no program", place=_place(task))


def _limit(task: Task[Any, Any], program: Program) -> float:
    """Return after how many seconds a job of `task` has ended; 0 for never."""
    hard = program.time_limit if task.time_limit is None else task.time_limit
    return hard or task.soft_time_limit or 0


def _is_too_long(task: Task[Any, Any], program: Program) -> bool:
    return _limit(task, program) > program.drain_timeout


def _too_long(task: Task[Any, Any], program: Program) -> Finding:
    limit = _limit(task, program)
    return finding(
        "GF102",
        f"Task '{task.name}' may run {limit:g} s, but a stopping worker of program "
        f"'{program.name}' waits {program.drain_timeout:g} s (drain_timeout) and then interrupts "
        "it",
        f"Set drain_timeout of the program to {limit:g} or more, or lower the task's time_limit",
        place=_place(task),
        setting=program.sources.get("drain_timeout", ""),
    )


def _endless(tasks: list[Task[Any, Any]], program: Program) -> Finding:
    names = named([task.name for task in tasks])
    return finding(
        "GF103",
        f"Tasks of program '{program.name}' have no time limit: {names}",
        place=_place(tasks[0]),
    )


def _place(task: Task[Any, Any]) -> tuple[str, int]:
    """Return file and line of a declaration."""
    file, _, line = task.place.rpartition(":")
    return (file, int(line)) if file and line.isdecimal() else (task.place, 0)
