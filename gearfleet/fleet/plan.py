"""Tasks and settings become the fleet of one host: pure, without any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from gearfleet.config import DEFAULTS
from gearfleet.config.options import OWN
from gearfleet.errors import ConfigError
from gearfleet.fleet.layers import Resolved, resolve
from gearfleet.fleet.lint import lint
from gearfleet.fleet.model import Fleet, Group, Program
from gearfleet.fleet.names import (
    Slot,
    refuse_bad_names,
    refuse_bad_queues,
    refuse_unmatched,
    slots_of,
)
from gearfleet.fleet.quoting import LOG_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gearfleet.config import Settings, Value
    from gearfleet.tasks import Registry

#: The steps of the stop ladder (DESIGN.md, "Kill budget"), each also an option of the worker.
LADDER = ("drain_timeout", "interrupt_grace", "hook_timeout")
#: When a worker stops at once, and when it ends by itself.
RENEWAL = ("stop", "time_limit", "startsecs", "max_jobs", "max_lifetime", "max_rss", "max_idle")
#: What the command says where it is not the default.
_WORKER_OPTIONS = (*LADDER, *RENEWAL, "loglevel", "log_format", "prefetch", "concurrency")
#: Seconds between the latest exit of a worker and Supervisor's SIGKILL.
KILL_MARGIN = 5
#: Seconds between the latest exit of a worker of a pool and its parent's SIGKILL.
POOL_MARGIN = 5

_OWN = frozenset(option.name for option in OWN)
_LOGS = frozenset({"stdout_logfile", "stderr_logfile"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    settings: Settings
    host: str | None
    executable: tuple[str, ...]
    django_settings: str | None


def plan(
    registry: Registry,
    settings: Settings,
    *,
    host: str | None = None,
    executable: Sequence[str] | None = None,
    django_settings: str | None = None,
) -> Fleet:
    """Return the fleet that `host` needs for the tasks of `registry`, if its options can be meant.

    It is that of `draft`, with the same arguments.

    Raises:
        ConfigError: as `draft`, or options contradict each other.
    """
    fleet = draft(
        registry, settings, host=host, executable=executable, django_settings=django_settings
    )
    if found := lint(fleet):
        raise ConfigError("\n".join(each.sentence for each in found))
    return fleet


def draft(
    registry: Registry,
    settings: Settings,
    *,
    host: str | None = None,
    executable: Sequence[str] | None = None,
    django_settings: str | None = None,
) -> Fleet:
    """Return the fleet that `host` needs for the tasks of `registry`, whatever `lint` says of it.

    There is one program for each worker module and queue, and one group for
    each queue. A program with ``processes = 0`` is left out, and so is a group
    without programs: Supervisor would show neither of them anywhere.

    Paths in the settings (``directory``, log files) are relative to the
    project's directory. A program is found by ``[programs.NAME]`` or by its
    address, see `gearfleet.fleet.names`.

    Args:
        registry: the discovered tasks.
        settings: the project's.
        host: whose own settings to use, if there are any.
        executable: what starts gearfleet, unless the settings say.
        django_settings: the settings module that the workers need.

    Raises:
        ConfigError: there are no tasks, two programs have one name, or a table of
            the settings is for nothing.
    """
    slots = slots_of(registry)
    if not slots:
        apps = ", ".join(settings.apps) or "the installed apps"
        raise ConfigError(f"No tasks in {apps}: a fleet without programs would stop every worker")
    refuse_bad_queues(slots)
    refuse_unmatched(settings, slots)
    context = _Context(
        settings=settings,
        host=host,
        executable=tuple(executable or ("gearfleet",)),
        django_settings=django_settings,
    )
    return _fleet(context, slots)


def _fleet(context: _Context, slots: Sequence[Slot]) -> Fleet:
    settings = context.settings
    resolved = [(slot, resolve(settings, context.host, slot)) for slot in slots]
    prefix = f"{settings.name}_" if settings.name else ""
    refuse_bad_names(
        [(slot, options.get("program") or slot.short) for slot, options in resolved], "groups"
    )
    programs = [
        _program(context, slot, options, prefix)
        for slot, options in resolved
        if options.get("processes")
    ]
    return Fleet(
        name=settings.name,
        host=context.host or "",
        origin=settings.origin,
        programs=tuple(sorted(programs, key=lambda program: program.name)),
        groups=tuple(_groups(programs, prefix)),
    )


def _groups(programs: Sequence[Program], prefix: str) -> Iterator[Group]:
    for queue in sorted({program.queue for program in programs}):
        members = sorted(program.name for program in programs if program.queue == queue)
        yield Group(name=f"{prefix}{queue}", programs=tuple(members))


def _program(context: _Context, slot: Slot, options: Resolved, prefix: str) -> Program:
    name = prefix + (options.get("program") or slot.short)
    return Program(
        name=name,
        app=slot.module.app.name,
        worker=slot.module.worker,
        queue=slot.queue,
        tasks=slot.tasks,
        command=_command(context, slot, options),
        processes=1 if _is_pool(options) else options.get("processes"),
        pool=options.get("processes") if _is_pool(options) else 0,
        environment=_environment(context, name, options),
        options=_supervisor_options(context, options),
        stop_budget=_stop_budget(options),
        drain_timeout=float(options.get("drain_timeout")),
        time_limit=float(options.get("time_limit")),
        sources=options.sources,
    )


def _command(context: _Context, slot: Slot, options: Resolved) -> tuple[str, ...]:
    changed = [name for name in _WORKER_OPTIONS if options.get(name) != DEFAULTS.get(name)]
    return (
        *(options.get("executable") or context.executable),
        *("worker", "-a", slot.module.app.name, "-n", slot.module.worker, "-q", slot.queue),
        *(("--processes", str(options.get("processes"))) if _is_pool(options) else ()),
        *(part for name in changed for part in (_flag(name), _word(options.get(name)))),
    )


def _is_pool(options: Resolved) -> bool:
    return bool(options.get("mode") == "pool")


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")


def _word(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if value == int(value) else repr(value)


def _environment(context: _Context, name: str, options: Resolved) -> dict[str, str]:
    """Return the workers' variables; those by which gearfleet finds a worker stand fast."""
    settings = context.settings
    django = {"DJANGO_SETTINGS_MODULE": context.django_settings or ""}
    fixed = {
        "GEARFLEET_PROGRAM": name,
        "GEARFLEET_RUN_DIR": str(settings.root / settings.run_dir),
        # By name, because SIGHUP brings the code that is there now: it may be a link.
        **({"GEARFLEET_DIRECTORY": _directory(context, options)} if _is_pool(options) else {}),
    }
    for variable in fixed.keys() & options.environment.keys():
        setting = options.sources[f"environment.{variable}"]
        raise ConfigError(f"Setting '{setting}' cannot be set: gearfleet writes {variable} itself")
    return {
        **(django if context.django_settings else {}),
        **settings.rendered_environment,
        **options.environment,
        **fixed,
    }


def _supervisor_options(context: _Context, options: Resolved) -> dict[str, Value]:
    chosen = {name: value for name, value in options.values.items() if name not in _OWN}
    chosen["directory"] = _directory(context, options)
    chosen.setdefault("stopwaitsecs", ceil(_stop_budget(options)) + KILL_MARGIN)
    for option in chosen.keys() & _LOGS:
        chosen[option] = _path(context, options, option, str(chosen[option]))
    for stream in ("stdout", "stderr"):
        if str(chosen.get(f"{stream}_logfile")).startswith("/dev/"):
            # Rotation would try to rename the device.
            chosen.setdefault(f"{stream}_logfile_maxbytes", "0")
    return chosen


def _directory(context: _Context, options: Resolved) -> str:
    return _path(context, options, "directory", str(options.get("directory") or "."))


def _path(context: _Context, options: Resolved, option: str, value: str) -> str:
    if option != "directory" and value.lower() in LOG_WORDS:
        return value
    if value.startswith("~"):
        raise ConfigError(
            f"Setting '{options.sources[option]}' is '{value}': '~' would depend on who runs "
            "supervisord; write the whole path"
        )
    return str(context.settings.root / value)


def _stop_budget(options: Resolved) -> float:
    steps = float(sum(options.get(step) for step in LADDER))
    return steps + POOL_MARGIN if _is_pool(options) else steps
