"""Tasks and settings become the fleet of one host: pure, without any I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

from gearfleet.errors import ConfigError, UnknownName
from gearfleet.fleet.grouping import groups_in, groups_of, refuse_unknown_members
from gearfleet.fleet.layers import resolve
from gearfleet.fleet.lint import lint
from gearfleet.fleet.model import Fleet
from gearfleet.fleet.names import refuse_bad_names, refuse_bad_queues, refuse_unmatched
from gearfleet.fleet.programs import Context, program
from gearfleet.fleet.slots import Slot, slots_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gearfleet.config import Settings
    from gearfleet.fleet.layers import Resolved
    from gearfleet.tasks import Registry


class Where(TypedDict, total=False):
    """The host that a fleet is for; all of it may be left out.

    Attributes:
        host: whose own settings to use, if there are any.
        executable: what starts gearfleet, unless the settings say.
        django_settings: the settings module that the workers need.
        cpus: that workers may use on `host`; default: what the settings say.
    """

    host: str | None
    executable: Sequence[str] | None
    django_settings: str | None
    cpus: int | None


def plan(registry: Registry, settings: Settings, **where: Unpack[Where]) -> Fleet:
    """Return the fleet that a host needs for the tasks of `registry`, if its options can be meant.

    It is that of `draft`, with the same arguments.

    Raises:
        ConfigError: as `draft`, or options contradict each other.
    """
    fleet = draft(registry, settings, **where)
    if found := lint(fleet):
        raise ConfigError("\n".join(each.sentence for each in found))
    return fleet


def draft(registry: Registry, settings: Settings, **where: Unpack[Where]) -> Fleet:
    """Return the fleet that a host needs for the tasks of `registry`, whatever `lint` says of it.

    There is one program for each worker module and queue (or, by its layout,
    for each queue), one for each command of the settings, and one group for
    each queue. A program with ``processes = 0`` is left out, and so is a group
    without programs: Supervisor would show neither of them anywhere.

    Paths in the settings (``directory``, log files) are relative to the
    project's directory. A program is found by ``[programs.NAME]`` or by its
    address, see `gearfleet.fleet.names`.

    Args:
        registry: the discovered tasks.
        settings: the project's.
        **where: the host that it is for, see `Where`.

    Raises:
        ConfigError: there are no tasks, two programs have one name, a table of
            the settings is for nothing, or nobody knows how many CPUs there are.
    """
    host = where.get("host")
    slots = slots_of(registry, settings, host)
    if not slots:
        apps = ", ".join(settings.apps) or "the installed apps"
        raise ConfigError(f"No tasks in {apps}: a fleet without programs would stop every worker")
    everywhere = _slots_of_all_hosts(registry, settings)
    refuse_bad_queues(everywhere)
    refuse_unmatched(settings, everywhere)
    refuse_unknown_members(settings, everywhere)
    context = Context(
        settings=settings,
        host=host,
        executable=tuple(where.get("executable") or ("gearfleet",)),
        django_settings=where.get("django_settings"),
        cpus=where.get("cpus") or settings.cpus_of(host),
    )
    return _fleet(context, slots)


def options_of(registry: Registry, settings: Settings, host: str | None, name: str) -> Resolved:
    """Return the options of the program `name` on `host`, and where each comes from.

    Raises:
        UnknownName: no program is called so; the message lists those that are.
    """
    slots = slots_of(registry, settings, host)
    resolved = [(slot, resolve(settings, host, slot)) for slot in slots]
    for slot, options in resolved:
        if name in (options.get("program"), slot.short, slot.address):
            return options
    names = [str(options.get("program") or slot.short) for slot, options in resolved]
    raise UnknownName.of("program", name, names)


def _slots_of_all_hosts(registry: Registry, settings: Settings) -> tuple[Slot, ...]:
    found = [slots_of(registry, settings, host) for host in (None, *settings.hosts)]
    return tuple(dict.fromkeys(slot for slots in found for slot in slots))


def _fleet(context: Context, slots: Sequence[Slot]) -> Fleet:
    settings = context.settings
    resolved = [(slot, resolve(settings, context.host, slot)) for slot in slots]
    named = [(slot, str(options.get("program") or slot.short)) for slot, options in resolved]
    refuse_bad_names(named, "groups")
    groups = groups_of(named, settings)
    programs = {
        short: program(context, slot, options, context.prefix + short)
        for (slot, options), (_, short) in zip(resolved, named, strict=True)
    }
    running = {short: each for short, each in programs.items() if each.processes}
    return Fleet(
        name=settings.name,
        host=context.host or "",
        origin=settings.origin,
        programs=tuple(sorted(running.values(), key=lambda each: each.name)),
        groups=groups_in(groups, running.keys(), context.settings, context.prefix),
    )
