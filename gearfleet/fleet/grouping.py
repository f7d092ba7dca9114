"""Which group a program is in: that of its queue, unless the settings name another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.config import toml_key
from gearfleet.errors import ConfigError, did_you_mean
from gearfleet.fleet.model import Group

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gearfleet.config import Settings
    from gearfleet.fleet.slots import Slot


def groups_of(named: Sequence[tuple[Slot, str]], settings: Settings) -> dict[str, str]:
    """Return the group of each program by the program's name, both without prefix.

    Args:
        named: each program to be, and how it is called.
        settings: of the project.

    Raises:
        ConfigError: a program would be in two groups, or in one that has its name by chance.
    """
    chosen = _chosen(settings)
    queues = {slot.queue for slot, _ in named if slot.queue}
    found = {}
    for slot, name in named:
        places = {chosen[key] for key in (name, slot.short, slot.address) if key in chosen}
        if len(places) > 1:
            raise _two_groups(name, *sorted(places))
        if not places and not slot.queue and name in queues | settings.groups.keys():
            raise ConfigError(
                f"Program '{name}' would be in a group of its own, but group '{name}' has other "
                f"programs: write it into 'programs' of [groups.{toml_key(name)}], or rename it"
            )
        found[name] = next(iter(places), slot.queue or name)
    return found


def groups_in(
    groups: Mapping[str, str], running: Collection[str], settings: Settings, prefix: str
) -> tuple[Group, ...]:
    """Return the groups of the `running` programs, in the order of their names."""
    members: dict[str, list[str]] = {}
    for program in sorted(running):
        members.setdefault(groups[program], []).append(f"{prefix}{program}")
    priorities = {name: group.priority for name, group in settings.groups.items()}
    return tuple(
        Group(name=f"{prefix}{name}", programs=tuple(each), priority=priorities.get(name))
        for name, each in sorted(members.items())
    )


def refuse_unknown_members(settings: Settings, slots: Sequence[Slot]) -> None:
    """Raise `ConfigError` for a group of the settings without programs, or with unknown ones.

    `slots` are those of all hosts of the settings.
    """
    known = {name for slot in slots for name in (slot.short, slot.address)} | _renamed(settings)
    queues = {slot.queue for slot in slots if slot.queue}
    for name, group in settings.groups.items():
        path = f"groups.{toml_key(name)}"
        for program in group.programs:
            if program not in known:
                shorts = {slot.short for slot in slots}
                raise ConfigError(
                    f"Setting '{path}.programs' names '{program}', which is no program of this "
                    f"project {did_you_mean(program, shorts)}"
                )
        if not group.programs and name not in queues:
            raise ConfigError(
                f"Setting '{path}' is for no queue of this project; name its 'programs' "
                f"{did_you_mean(name, queues)}"
            )


def _renamed(settings: Settings) -> set[str]:
    layers = [settings.layers, *(host.layers for host in settings.hosts.values())]
    tables = (table for each in layers for table in each.programs.values())
    return {str(table["program"]) for table in tables if "program" in table}


def _chosen(settings: Settings) -> dict[str, str]:
    """Return the group in which the settings put each program, as they call it."""
    found: dict[str, str] = {}
    for name, group in settings.groups.items():
        for program in group.programs:
            if found.setdefault(program, name) != name:
                raise _two_groups(program, found[program], name)
    return found


def _two_groups(program: str, one: str, other: str) -> ConfigError:
    return ConfigError(
        f"Program '{program}' is in two groups of the settings, '{one}' and '{other}': "
        "Supervisor would run it twice; leave it out of one"
    )
