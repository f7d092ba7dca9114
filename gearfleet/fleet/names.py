"""Which programs a project has, and how they are named and addressed.

A program is one worker module and one of its queues. It has a short name,
derived from the module (DESIGN.md, "Worker and program names"), and an address
that no other program shares. Settings may use either::

    [programs.worker_bar]                                # short name
    [programs."shop.gearman_workers.worker_bar"]         # address: the module
    [programs."shop.gearman_workers.worker_bar:mails"]   # of a module with several queues

Two apps may each have a ``worker_bar``. Their programs clash until one of them
is renamed by its address: ``[programs."<address>"] program = "mail_bar"``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.config.options import BadValue, name
from gearfleet.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gearfleet.config import Layers, Settings
    from gearfleet.tasks import Registry, WorkerModule

#: Every app may have these modules, so their name alone tells nothing.
GENERIC_WORKERS = ("gearman_jobs", "tasks")

_RULE = "use letters, digits, '_', '.' and '-', a letter or digit first, and not 'all'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One program to be: a worker module and one of its queues."""

    module: WorkerModule
    queue: str

    @property
    def short(self) -> str:
        """The derived name of the program."""
        module = self.module
        in_app = module.worker in GENERIC_WORKERS and module.module != module.app.name
        stem = f"{module.app.label}_{module.worker}" if in_app else module.worker
        return f"{stem}_{self.queue}" if self.is_one_of_several else stem

    @property
    def address(self) -> str:
        """The name under which settings find this program and no other."""
        module = self.module.module
        return f"{module}:{self.queue}" if self.is_one_of_several else module

    @property
    def is_one_of_several(self) -> bool:
        return len(self.module.queues) > 1

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that the program serves, sorted."""
        return tuple(sorted(t.name for t in self.module.tasks if t.queue == self.queue))


def slots_of(registry: Registry) -> tuple[Slot, ...]:
    """Return the programs that `registry` asks for, by address."""
    slots = [
        Slot(module=module, queue=queue) for module in registry.modules for queue in module.queues
    ]
    return tuple(sorted(slots, key=lambda slot: slot.address))


def refuse_bad_queues(slots: Iterable[Slot]) -> None:
    """Raise `ConfigError` for a queue whose name cannot be that of a group."""
    for slot in slots:
        if not is_section_name(slot.queue):
            raise ConfigError(
                f"Queue '{slot.queue}' of task '{slot.tasks[0]}' cannot name a group of "
                f"Supervisor; {_RULE}: change it in @task(queue=...)"
            )


def is_section_name(text: str) -> bool:
    """Tell whether `text` can name a program, a group and a file that ``*.conf`` matches."""
    try:
        return bool(name(text))
    except BadValue:
        return False


def refuse_bad_names(named: Sequence[tuple[Slot, str]], reserved: str) -> None:
    """Raise `ConfigError` unless the programs' names are valid, free and differ.

    `named` has each program's short name, or the one that a setting gave it;
    `reserved` is the name whose file holds the groups.
    """
    taken: dict[str, Slot] = {}
    for slot, short in named:
        if not is_section_name(short):
            raise ConfigError(f"{_cannot_be_named(slot, short)}; {_RULE}. {_rename(slot)}")
        if short == reserved:
            raise ConfigError(
                f"{_cannot_be_named(slot, short)}: its file is that of the groups. {_rename(slot)}"
            )
        if short in taken:
            raise ConfigError(
                f"Two programs would be named '{short}': {taken[short].address} and "
                f"{slot.address}. {_rename(slot)}"
            )
        taken[short] = slot


def _cannot_be_named(slot: Slot, short: str) -> str:
    return f"The program of {slot.address} cannot be named '{short}'"


def _rename(slot: Slot) -> str:
    return f"Set 'program' in [programs.{toml_key(slot.address)}]"


def refuse_unmatched(settings: Settings, slots: Sequence[Slot]) -> None:
    """Raise `ConfigError` for a table of the settings that no program or queue answers to."""
    programs = {name for slot in slots for name in (slot.short, slot.address)}
    queues = {slot.queue for slot in slots}
    for path, layers in all_layers(settings):
        _refuse(layers.programs, f"{path}programs", programs, {slot.short for slot in slots})
        _refuse(layers.queues, f"{path}queues", queues, queues)


def _refuse(tables: Mapping[str, object], path: str, valid: set[str], known: set[str]) -> None:
    for key in tables:
        if key not in valid:
            kind = path.rpartition(".")[2].removesuffix("s")
            raise ConfigError(
                f"Setting '{path}.{toml_key(key)}' is for no {kind} of this project "
                f"{did_you_mean(key, known)}"
            )


def all_layers(settings: Settings) -> Iterator[tuple[str, Layers]]:
    """Yield the project's and every host's layers, with what stands before their keys."""
    yield "", settings.layers
    for host, item in settings.hosts.items():
        yield f"hosts.{toml_key(host)}.", item.layers


def toml_key(key: str) -> str:
    """Return `key` as it stands in a settings file: quoted if it is not a bare one.

    Example:
        >>> toml_key("shop.worker")
        '"shop.worker"'
    """
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else f'"{key}"'
