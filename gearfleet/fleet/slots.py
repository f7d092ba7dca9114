"""The programs to be: which ones a project's tasks and settings ask for, before they have options.

There is one for each worker module and queue, or one for each queue where its
``layout`` says so, and one for each ``[programs.NAME]`` with a ``command``. Where there
are schedules, there is the program ``scheduler`` too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.config import DEFAULTS, toml_key
from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.config import Settings
    from gearfleet.tasks import Registry, WorkerModule

#: Every app may have these modules, so their name alone tells nothing.
GENERIC_WORKERS = ("gearman_jobs", "tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One program to be.

    Attributes:
        short: the derived name of the program.
        address: the name under which settings find this program and no other.
        modules: the worker modules that it serves; none if it has a command of its own.
        queue: whose tasks it serves; empty if it has a command of its own.
        command: what it runs, if that is neither a worker nor said by the settings.
    """

    short: str
    address: str
    modules: tuple[WorkerModule, ...] = ()
    queue: str = ""
    command: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that the program serves, sorted."""
        tasks = (task for module in self.modules for task in module.tasks)
        return tuple(sorted(task.name for task in tasks if task.queue == self.queue))


#: It looks after schedules wherever there are any.
SCHEDULER = Slot(short="scheduler", address="scheduler", command=("gearfleet", "scheduler"))


def slots_of(registry: Registry, settings: Settings, host: str | None) -> tuple[Slot, ...]:
    """Return the programs that `host` is to have, by address.

    Raises:
        ConfigError: a program of the tasks is given a command, or nobody says on which of
            several hosts the scheduler runs.
    """
    workers = _worker_slots(registry, settings, host)
    names = {name for slot in workers for name in (slot.short, slot.address)}
    extra = [Slot(short=name, address=name) for name in _commands(settings, host, names)]
    names |= {slot.short for slot in extra}
    own = [SCHEDULER] if _has_scheduler(registry, settings, names) else []
    return tuple(sorted([*workers, *extra, *own], key=lambda slot: slot.address))


def _has_scheduler(registry: Registry, settings: Settings, names: set[str]) -> bool:
    """Return whether the fleet has a scheduler, unless a program of its name has a command."""
    tables = [
        layers.programs[SCHEDULER.short]
        for layers in (settings.layers, *(host.layers for host in settings.hosts.values()))
        if SCHEDULER.short in layers.programs
    ]
    if any("command" in table for table in tables):
        return False
    is_asked_for = bool(tables) and SCHEDULER.short not in names
    is_declared = settings.schedules or any(task.periodics for task in registry.tasks)
    if not (is_asked_for or is_declared):
        return False
    if not any("processes" in table for table in tables):
        _refuse_file_of_many(settings)
    return True


def _refuse_file_of_many(settings: Settings) -> None:
    """Raise `ConfigError` if schedulers on several hosts would have a file each."""
    hosts = [name for name, host in settings.hosts.items() if host.url]
    if len(hosts) > 1 and settings.schedule_store.startswith("sqlite"):
        raise ConfigError(
            f"Schedules are kept in a file, which the hosts ({', '.join(hosts)}) do not share: each "
            "would submit every job. Say which one runs the scheduler: processes = 0 in "
            f"[programs.scheduler], and processes = 1 in [hosts.{toml_key(hosts[0])}.programs."
            "scheduler]; or set 'schedule_store' to a store that they share"
        )


def _worker_slots(registry: Registry, settings: Settings, host: str | None) -> list[Slot]:
    by_queue: dict[str, list[WorkerModule]] = {}
    for module in registry.modules:
        for queue in module.queues:
            by_queue.setdefault(queue, []).append(module)
    return [
        slot
        for queue, modules in by_queue.items()
        for slot in (
            [_of_queue(queue, modules)]
            if _layout(settings, host, queue) == "queue"
            else [_of_module(module, queue) for module in modules]
        )
    ]


def _of_queue(queue: str, modules: list[WorkerModule]) -> Slot:
    members = tuple(sorted(modules, key=lambda module: module.module))
    return Slot(short=queue, address=f"queue:{queue}", modules=members, queue=queue)


def _of_module(module: WorkerModule, queue: str) -> Slot:
    in_app = module.worker in GENERIC_WORKERS and module.module != module.app.name
    stem = f"{module.app.label}_{module.worker}" if in_app else module.worker
    is_one_of_several = len(module.queues) > 1
    return Slot(
        short=f"{stem}_{queue}" if is_one_of_several else stem,
        address=f"{module.module}:{queue}" if is_one_of_several else module.module,
        modules=(module,),
        queue=queue,
    )


def _layout(settings: Settings, host: str | None, queue: str) -> object:
    chosen = DEFAULTS["layout"]
    for _, layers in settings.layers_of(host):
        for table in (layers.fleet, layers.queues.get(queue, {})):
            chosen = table.get("layout", chosen)
    return chosen


def _commands(settings: Settings, host: str | None, derived: set[str]) -> Iterator[str]:
    """Yield the names of the programs that have a command of their own."""
    found: set[str] = set()
    for path, layers in settings.layers_of(host):
        for name, options in layers.programs.items():
            if "command" in options and name in derived:
                raise ConfigError(
                    f"Setting '{path}programs.{name}.command' cannot be set: the program is one "
                    "of your tasks, whose command gearfleet writes; set 'executable' for what "
                    "starts it"
                )
            if "command" in options and name not in found:
                found.add(name)
                yield name
