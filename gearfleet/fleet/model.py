"""The plan as a value: what programs and groups one host needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.config import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One ``[program:x]``: workers of one queue, or another command of the settings.

    Attributes:
        name: of the section.
        modules: the worker modules that are served: app and last name of each; none if
            the program is no worker.
        queue: whose tasks the workers serve; empty if the program is no worker.
        tasks: names of those tasks, sorted.
        command: the arguments that start one process, unquoted.
        processes: how many processes Supervisor runs, 1 or more; each is a worker, or a pool.
        pool: how many workers each process forks; 0 where it is a worker itself.
        environment: variables of the workers.
        options: Supervisor's options by name, as they are meant.
        stop_budget: seconds from the first signal to the latest possible exit.
        drain_timeout: seconds of them in which a job in hand may end.
        time_limit: seconds that a job of a task without a limit may take; 0 for any.
        sources: the key of the setting that gave an option ("user") or a
            variable ("environment.LANG"); what no setting gave is not there.
    """

    name: str
    modules: tuple[tuple[str, str], ...] = ()
    queue: str = ""
    tasks: tuple[str, ...] = ()
    command: tuple[str, ...]
    processes: int
    pool: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Value] = field(default_factory=dict)
    stop_budget: float
    drain_timeout: float = 0.0
    time_limit: float = 0.0
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def app(self) -> str:
        """The app of the worker modules; several are joined by commas."""
        return ", ".join(dict.fromkeys(app for app, _ in self.modules))

    @property
    def worker(self) -> str:
        """The last name of the worker module; several are joined by commas."""
        return ", ".join(dict.fromkeys(worker for _, worker in self.modules))

    @property
    def workers(self) -> int:
        """How many workers run, or other processes."""
        return self.processes * (self.pool or 1)

    def place(self, option: str) -> str:
        """Return how a message names `option`: by the setting that gave it, if one did."""
        if option in self.sources:
            return f"Setting '{self.sources[option]}'"
        return f"'{option}' of program '{self.name}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One ``[group:x]``: the programs of one queue, or those that the settings put together."""

    name: str
    programs: tuple[str, ...]
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All programs and groups of one project on one host, in the order of their names.

    Attributes:
        name: put before programs and groups where projects share a supervisord.
        host: whose settings were used; empty for none.
        origin: what the settings were read from.
    """

    name: str = ""
    host: str = ""
    origin: str
    programs: tuple[Program, ...]
    groups: tuple[Group, ...]

    @property
    def prefix(self) -> str:
        """What stands before the names of programs, groups and files."""
        return f"{self.name}_" if self.name else ""
