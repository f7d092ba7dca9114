"""The programs to be: which ones a project's tasks and settings ask for, before they have options.

There is one for each worker module and queue, or one for each queue where its
``layout`` says so, and one for each ``[programs.NAME]`` with a ``command``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.config import DEFAULTS
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
    """

    short: str
    address: str
    modules: tuple[WorkerModule, ...] = ()
    queue: str = ""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that the program serves, sorted."""
        tasks = (task for module in self.modules for task in module.tasks)
        return tuple(sorted(task.name for task in tasks if task.queue == self.queue))


def slots_of(registry: Registry, settings: Settings, host: str | None) -> tuple[Slot, ...]:
    """Return the programs that `host` is to have, by address.

    Raises:
        ConfigError: a program of the tasks is given a command.
    """
    workers = _worker_slots(registry, settings, host)
    names = {name for slot in workers for name in (slot.short, slot.address)}
    extra = [Slot(short=name, address=name) for name in _commands(settings, host, names)]
    return tuple(sorted([*workers, *extra], key=lambda slot: slot.address))


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
