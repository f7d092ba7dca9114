"""One program of the fleet: its command, environment and options, from its slot and settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.config import DEFAULTS, toml_key
from gearfleet.config.env_files import VARIABLE as ENV_FILES
from gearfleet.config.options import OWN
from gearfleet.config.values import workers_on
from gearfleet.errors import ConfigError
from gearfleet.fleet.model import Program
from gearfleet.fleet.quoting import LOG_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.config import Settings, Value
    from gearfleet.fleet.layers import Resolved
    from gearfleet.fleet.slots import Slot

#: The steps of the stop ladder (DESIGN.md, "Kill budget"), each also an option of the worker.
LADDER = ("drain_timeout", "interrupt_grace", "hook_timeout")
#: When a worker stops at once, and when it ends by itself.
RENEWAL = ("stop", "time_limit", "startsecs", "max_jobs", "max_lifetime", "max_rss", "max_idle")
#: What the command says where it is not the default.
_WORKER_OPTIONS = (
    *(*LADDER, *RENEWAL, "loglevel", "log_format"),
    *("prefetch", "concurrency", "cpu_affinity"),
)
#: Seconds between the latest exit of a worker and Supervisor's SIGKILL.
KILL_MARGIN = 5
#: Seconds between the latest exit of a worker of a pool and its parent's SIGKILL.
POOL_MARGIN = 5

_OWN = frozenset(option.name for option in OWN)
_LOGS = frozenset({"stdout_logfile", "stderr_logfile"})


#: The first word of a command that means the gearfleet of the workers.
_GEARFLEET = "gearfleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the programs of one fleet have in common; see `gearfleet.fleet.plan.draft`."""

    settings: Settings
    host: str | None
    executable: tuple[str, ...]
    django_settings: str | None
    cpus: int | None

    @property
    def prefix(self) -> str:
        """What stands before the names of programs and groups."""
        return f"{self.settings.name}_" if self.settings.name else ""


def program(context: Context, slot: Slot, options: Resolved, name: str) -> Program:
    """Return the program `name`, which may have no process."""
    if not slot.modules:
        return _command_program(context, options, name)
    processes = _processes(context, options)
    return Program(
        name=name,
        modules=tuple((module.app.name, module.worker) for module in slot.modules),
        queue=slot.queue,
        tasks=slot.tasks,
        command=_worker_command(context, slot, options, processes),
        processes=min(processes, 1) if _is_pool(options) else processes,
        pool=processes if _is_pool(options) else 0,
        environment=_environment(context, name, options),
        options=_worker_options(context, options),
        stop_budget=_stop_budget(options),
        drain_timeout=float(options.get("drain_timeout")),
        time_limit=float(options.get("time_limit")),
        sources=options.sources,
    )


def _command_program(context: Context, options: Resolved, name: str) -> Program:
    return Program(
        name=name,
        command=_own_command(context, options),
        processes=_processes(context, options),
        environment=_environment(context, name, options),
        options=_supervisor_options(context, options),
        stop_budget=0.0,
        sources=options.sources,
    )


def _processes(context: Context, options: Resolved) -> int:
    value = options.get("processes")
    if isinstance(value, str) and context.cpus is None:
        setting = options.sources["processes"]
        host = toml_key(context.host) if context.host else "HOST"
        raise ConfigError(
            f"Setting '{setting}' is '{value}', and nobody says how many CPUs there are on host "
            f"'{context.host or ''}', which is not this one: set hosts.{host}.cpus"
        )
    return workers_on(value, context.cpus or 1)


def _own_command(context: Context, options: Resolved) -> tuple[str, ...]:
    """Return the command of a program that is no worker; a relative path is the project's."""
    first, *rest = options.get("command")
    if first == _GEARFLEET:
        return (*_executable(context, options), *rest)
    first = _path(context, options, "command", first) if "/" in first else first
    reads_files = (*_executable(context, options), "exec", "--") if _env_files(options) else ()
    return (*reads_files, first, *rest)


def _executable(context: Context, options: Resolved) -> tuple[str, ...]:
    return tuple(options.get("executable") or context.executable)


def _worker_command(
    context: Context, slot: Slot, options: Resolved, processes: int
) -> tuple[str, ...]:
    return (
        *_executable(context, options),
        "worker",
        *(part for each in slot.modules for part in ("-a", each.app.name, "-n", each.worker)),
        *("-q", slot.queue),
        *(("--processes", str(processes)) if _is_pool(options) else ()),
        *worker_flags(options.values),
    )


def worker_flags(options: Mapping[str, Value]) -> tuple[str, ...]:
    """Return what the command of a worker says of `options` that are not the defaults."""
    named = [name for name in _WORKER_OPTIONS if name in options]
    changed = {name: options[name] for name in named if options[name] != DEFAULTS.get(name)}
    return tuple(part for name in changed for part in (_flag(name), _word(changed[name])))


def _is_pool(options: Resolved) -> bool:
    return bool(options.get("mode") == "pool")


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")


def _word(value: Value) -> str:
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


def _environment(context: Context, name: str, options: Resolved) -> dict[str, str]:
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
        **_named_env_files(context, options),
        **settings.rendered_environment,
        **options.environment,
        **fixed,
    }


def _named_env_files(context: Context, options: Resolved) -> dict[str, str]:
    """Return the variable by which a process finds the files that it reads at its start."""
    files = [_path(context, options, "env_files", each) for each in _env_files(options)]
    if not files:
        return {}
    setting = options.sources["env_files"]
    if any(Path(word).name == "manage.py" for word in _executable(context, options)):
        raise ConfigError(
            f"Setting '{setting}' needs the command gearfleet: manage.py has read Django's "
            "settings before gearfleet could read the files. Leave manage.py out of 'executable'"
        )
    if any(os.pathsep in file for file in files):
        raise ConfigError(f"Setting '{setting}': no path may hold '{os.pathsep}'")
    return {ENV_FILES: os.pathsep.join(files)}


def _env_files(options: Resolved) -> tuple[str, ...]:
    return tuple(options.get("env_files") or ())


def _worker_options(context: Context, options: Resolved) -> Mapping[str, Value]:
    budget = ceil(_stop_budget(options)) + KILL_MARGIN
    return {"stopwaitsecs": budget, **_supervisor_options(context, options)}


def _supervisor_options(context: Context, options: Resolved) -> dict[str, Value]:
    chosen = {name: value for name, value in options.values.items() if name not in _OWN}
    chosen["directory"] = _directory(context, options)
    for option in chosen.keys() & _LOGS:
        chosen[option] = _path(context, options, option, str(chosen[option]))
    for stream in ("stdout", "stderr"):
        if str(chosen.get(f"{stream}_logfile")).startswith("/dev/"):
            # Rotation would try to rename the device.
            chosen.setdefault(f"{stream}_logfile_maxbytes", "0")
    return chosen


def _directory(context: Context, options: Resolved) -> str:
    return _path(context, options, "directory", str(options.get("directory") or "."))


def _path(context: Context, options: Resolved, option: str, value: str) -> str:
    if option in _LOGS and value.lower() in LOG_WORDS:
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
