"""The names that a user gives on the command line, and the processes that they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gearfleet.supervisor.processes import Process

EVERY = "all"

# supervisorctl joins its arguments with spaces, so quoting cannot save others;
# gearfleet renders no other names.
_TARGET = re.compile(r"(?P<group>[A-Za-z0-9_.-]+)(?::(?P<process>[A-Za-z0-9_.-]+|\*)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One group, or one process of it."""

    group: str
    process: str | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Accept `bar`, `bar:` and `bar:*` as the group, `bar:worker_bar_00` as one process.

        Raises:
            UsageError: It is none of these.
        """
        match = _TARGET.fullmatch(text)
        if match is None:
            raise UsageError(
                f"'{text}' is no group: give GROUP or GROUP:PROCESS, in letters, digits and _ . -"
            )
        process = match["process"]
        return cls(group=match["group"], process=None if process == "*" else process)

    def matches(self, process: Process) -> bool:
        if self.group == EVERY and self.process is None:
            return True
        return self.group == process.group and self.process in (None, process.name)


def select(processes: Sequence[Process], targets: Iterable[str]) -> dict[str, tuple[Process, ...]]:
    """Return the processes that `targets` mean, by group, in the order in which they were named.

    `all` means every process.

    Raises:
        UsageError: A target is not a name.
        UnknownName: A group or a process does not exist; the message lists those that do.
    """
    chosen: dict[str, dict[str, Process]] = {}
    for target in [Target.parse(text) for text in targets]:
        for process in _matches(target, processes):
            chosen.setdefault(process.group, {})[process.name] = process
    return {group: tuple(members.values()) for group, members in chosen.items()}


def _matches(target: Target, processes: Sequence[Process]) -> list[Process]:
    found = [process for process in processes if target.matches(process)]
    if found or target == Target(group=EVERY):
        return found
    names = {process.name for process in processes if process.group == target.group}
    if names and target.process is not None:
        raise UnknownName.of(f"process of group '{target.group}'", target.process, names)
    raise UnknownName.of("group", target.group, {process.group for process in processes})
