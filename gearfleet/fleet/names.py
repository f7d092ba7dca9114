"""Which programs a project has, and how they are named and addressed.

A program has a short name, derived from its worker module (DESIGN.md, "Worker
and program names"), and an address that no other program shares. Settings may
use either::

    [programs.worker_bar]                                # short name
    [programs."shop.gearman_workers.worker_bar"]         # address: the module
    [programs."shop.gearman_workers.worker_bar:mails"]   # of a module with several queues

A program of a whole queue is called like the queue. Two apps may each have a ``worker_bar``. Their programs clash until one of them
is renamed by its address: ``[programs."<address>"] program = "mail_bar"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.config import toml_key
from gearfleet.config.values import BadValue, name
from gearfleet.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gearfleet.config import Settings
    from gearfleet.fleet.slots import Slot

_OR_GIVE_IT_A_COMMAND = " A program that is no worker has a 'command'."

_RULE = "use letters, digits, '_', '.' and '-', a letter or digit first, and not 'all'"


def refuse_bad_queues(slots: Iterable[Slot]) -> None:
    """Raise `ConfigError` for a queue whose name cannot be that of a group."""
    for slot in slots:
        if slot.queue and not is_section_name(slot.queue):
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
    """Raise `ConfigError` for a table of the settings that no program or queue answers to.

    `slots` are those of all hosts of the settings.
    """
    shorts = {slot.short for slot in slots}
    programs = shorts | {slot.address for slot in slots}
    queues = {slot.queue for slot in slots if slot.queue}
    hosts = [(f"hosts.{toml_key(name)}.", host.layers) for name, host in settings.hosts.items()]
    for path, layers in [("", settings.layers), *hosts]:
        _refuse(layers.programs, f"{path}programs", programs, shorts)
        _refuse(layers.queues, f"{path}queues", queues, queues)


def _refuse(tables: Mapping[str, object], path: str, valid: set[str], known: set[str]) -> None:
    for key in tables:
        if key not in valid:
            kind = path.rpartition(".")[2].removesuffix("s")
            raise ConfigError(
                f"Setting '{path}.{toml_key(key)}' is for no {kind} of this project "
                f"{did_you_mean(key, known)}"
                f"{_OR_GIVE_IT_A_COMMAND if kind == 'program' else ''}"
            )
