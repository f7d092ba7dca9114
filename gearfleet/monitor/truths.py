"""The four truths about a fleet, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from gearfleet.supervisor.registrations import Registration
from gearfleet.tasks.naming import function_name, later_function
from gearfleet.worker.client_ids import client_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.config import Settings
    from gearfleet.fleet import Fleet
    from gearfleet.gearman.text import FunctionStatus
    from gearfleet.supervisor.processes import Process
    from gearfleet.tasks import Registry
    from gearfleet.worker.boards import BoardEntry


@cache
def known_as(program: str) -> str:
    """Return how job servers show a program: the beginning of its name, if that is long."""
    shown = Registration.parse(client_id(program))
    return shown.program if shown else program


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTruth:
    """One task as the code has it.

    Attributes:
        name: of the task.
        queue: to which it belongs.
        function: under which its jobs wait.
        later: the function of those that are delayed, or tried again.
        retries: how often a job of it that failed is tried again.
    """

    name: str
    queue: str
    function: str
    later: str
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What the code base says: its tasks, and which release of it lies here."""

    tasks: tuple[TaskTruth, ...]
    release: str = ""

    @classmethod
    def of(cls, registry: Registry, settings: Settings, release: str) -> Code:
        """Return the truth about the tasks of `registry`."""
        functions = {
            task.name: function_name(task.name, settings.prefix) for task in registry.tasks
        }
        tasks = (
            TaskTruth(
                name=task.name,
                queue=task.queue,
                function=functions[task.name],
                later=later_function(functions[task.name]),
                retries=(
                    settings.retries if task.declared.retries is None else task.declared.retries
                ),
            )
            for task in registry.tasks
        )
        return cls(tasks=tuple(tasks), release=release)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """What supervisorctl makes of ``[ctlplugin:gearfleet]``.

    Attributes:
        is_there: whether the main file has the section.
        problem: what supervisorctl says instead of the plugin's help; empty if all is well.
        silence: why it said nothing; empty if it did.
    """

    is_there: bool = True
    problem: str = ""
    silence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """What supervisord says, and what the workers of its host say of themselves.

    Attributes:
        address: where it was asked; empty where nobody knows that.
        silence: why it said nothing; empty if it did.
        processes: of supervisord, those of others too.
        pid: of supervisord itself.
        descriptors: how many it may open; None where that cannot be seen.
        workers: the boards of the workers that live.
        plugin: None where no main file was named.
        reach: the option by which commands reach it: ``-c FILE`` or ``--url URL``.
    """

    address: str = ""
    silence: str = ""
    processes: tuple[Process, ...] = ()
    pid: int = 0
    descriptors: int | None = None
    workers: tuple[BoardEntry, ...] = ()
    plugin: Plugin | None = None
    reach: str = ""

    def command(self, verb: str, *names: str) -> str:
        """Return the command that does `verb` to processes of this supervisord."""
        return " ".join(["gearfleet", verb, *names, *([self.reach] if self.reach else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A worker of gearfleet that a job server knows, and the release that it runs."""

    worker: Registration
    release: str
    functions: frozenset[str]

    @classmethod
    def parse(cls, client_id: str, functions: tuple[str, ...]) -> Registered | None:
        """Return what a client id says; None when it is not a gearfleet worker's."""
        worker = Registration.parse(client_id)
        if worker is None:
            return None
        release = "/".join(client_id.split("/")[4:])
        return cls(worker=worker, release=release, functions=frozenset(functions))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobServer:
    """What one job server says.

    Attributes:
        address: where it was asked.
        silence: why it said nothing; empty if it did.
        version: of it.
        functions: by name.
        workers: those of gearfleet.
        others: how many workers are of somebody else.
        options: with which gearmand was started, by their long names; None where that cannot
            be seen, because it runs on another host.
    """

    address: str
    silence: str = ""
    version: str = ""
    functions: Mapping[str, FunctionStatus] = field(default_factory=dict)
    workers: tuple[Registered, ...] = ()
    others: int = 0
    options: Mapping[str, str] | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether it is gearfleet's own, which keeps all in memory."""
        return self.version.startswith("gearfleet")

    @property
    def is_persistent(self) -> bool | None:
        """Whether queued jobs outlive it; None where that is not known."""
        if self.is_embedded:
            return False
        if self.options is None:
            return None
        return self.options.get("queue-type", "builtin") != "builtin"

    def waiting(self, function: str) -> int:
        row = self.functions.get(function)
        return row.waiting if row else 0

    def running(self, function: str) -> int:
        row = self.functions.get(function)
        return row.running if row else 0

    def serving(self, function: str) -> int:
        row = self.functions.get(function)
        return row.workers if row else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that is known at one moment.

    Attributes:
        code: the tasks and their release.
        fleet: the configuration as it is planned.
        supervision: supervisord and the workers of its host.
        servers: the job servers.
        host: this host's name, as its workers give it to job servers.
        now: when that was, in seconds since the epoch.
    """

    code: Code
    fleet: Fleet
    supervision: Supervision
    servers: tuple[JobServer, ...]
    host: str
    now: float
