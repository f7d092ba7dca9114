"""All that is assumed about Supervisor's own objects, which are nobody's public interface."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from supervisor.options import (
    VERSION,
    Automatic,
    ProcessConfig,
    ProcessGroupConfig,
    ServerOptions,
)
from supervisor.states import ProcessStates, SupervisorStates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The versions whose objects are as this module says; both are tested.
KNOWN_VERSIONS = ("4.2", "4.3")

STOPPED = ProcessStates.STOPPED
STARTING = ProcessStates.STARTING
RUNNING = ProcessStates.RUNNING
BACKOFF = ProcessStates.BACKOFF
STOPPING = ProcessStates.STOPPING
EXITED = ProcessStates.EXITED
FATAL = ProcessStates.FATAL

#: States in which a signal, or less, ends a process.
STOPPABLE = frozenset({RUNNING, STARTING, BACKOFF})
ENDED = frozenset({STOPPED, EXITED, FATAL})

#: Options that supervisord heeds and the process never sees: they change without a restart.
HEEDED = frozenset(
    {
        "autorestart",
        "autostart",
        "exitcodes",
        "killasgroup",
        "priority",
        "startretries",
        "startsecs",
        "stopasgroup",
        "stopsignal",
        "stopwaitsecs",
    }
)
_OPTIONS = tuple(ProcessConfig.req_param_names + ProcessConfig.optional_param_names)
_LOGFILES = ("stdout_logfile", "stderr_logfile")


def unknown_version(version: str = VERSION) -> str:
    """Return why this Supervisor is not touched, or nothing where it is known."""
    if ".".join(version.split(".")[:2]) in KNOWN_VERSIONS:
        return ""
    return (
        f"gearfleet's extension changes the inside of Supervisor {' and '.join(KNOWN_VERSIONS)}; "
        f"this one is {version}. Install a known one, or a newer gearfleet"
    )


def is_serving(supervisord: Any) -> bool:
    """Tell whether supervisord is neither shutting down nor restarting."""
    return bool(supervisord.options.mood >= SupervisorStates.RUNNING)


def reread(supervisord: Any) -> dict[str, Any]:
    """Let supervisord read its configuration; return the groups in it by name.

    Raises:
        ValueError: it cannot be read; nothing has changed.
    """
    try:
        supervisord.options.process_config(do_usage=False)
    except Exception as error:  # ValueError mostly; odd files also raise configparser's own
        raise ValueError(str(error)) from error
    return _by_name(supervisord.options.process_group_configs)


def read_text(supervisord: Any, text: str) -> dict[str, Any]:
    """Read `text` as if it were the configuration; return the groups in it by name.

    Raises:
        ValueError: supervisord would refuse it.
    """
    options = _Reader()
    options.configfile, options.here = "the new configuration", supervisord.options.here
    try:
        return _by_name(options.read_config(io.StringIO(text)).process_group_configs)
    except Exception as error:
        raise ValueError(str(error)) from error


class _Reader(ServerOptions):  # type: ignore[misc]
    def get_plugins(self, *_: Any) -> list[Any]:
        return []  # a text that a client sent makes supervisord import nothing


def _by_name(configs: Iterable[Any]) -> dict[str, Any]:
    groups: dict[str, Any] = {}
    for config in configs:
        if config.name in groups:
            raise ValueError(f"two groups or programs have the name '{config.name}'")
        groups[config.name] = config
    return groups


def is_plain(config: Any) -> bool:
    """Tell a group of programs from one that owns event subscriptions or sockets."""
    members = config.process_configs
    return type(config) is ProcessGroupConfig and all(type(m) is ProcessConfig for m in members)


def is_restart_needed(old: Any, new: Any) -> bool:
    """Tell whether a process of `old` differs from one of `new` in what only a start gives it."""
    return any(
        Automatic not in (was := getattr(old, name), now := getattr(new, name)) and was != now
        for name in _OPTIONS
        if name not in HEEDED
    )


def adjust(process: Any, config: Any) -> None:
    """Give a process another configuration as it runs; it keeps its log files."""
    for name in _LOGFILES:
        if getattr(config, name) is Automatic:
            setattr(config, name, getattr(process.config, name))
    process.config = config


def add(group: Any, config: Any) -> None:
    """Add a process; supervisord starts it on the same pass if it has autostart."""
    config.create_autochildlogs()
    group.processes[config.name] = config.make_process(group)


def renew(process: Any, config: Any) -> None:
    """Start a process that has ended, with another configuration."""
    config.create_autochildlogs()
    process.config = config
    process.backoff = 0
    process.spawn()


def respawns(process: Any) -> bool:
    """Tell whether supervisord starts a process in EXITED again by itself."""
    restart = process.config.autorestart
    if not restart:
        return False
    unconditionally = getattr(restart, "__name__", "") == "RestartUnconditionally"
    return unconditionally or process.exitstatus not in process.config.exitcodes


def describe(group: Any, *, priority: int, order: Iterable[str]) -> None:
    """Let the group's configuration be that of its processes, as they are now.

    `reread` compares it with the parsed one: whatever is not yet as the file says, shows.
    """
    processes: Mapping[str, Any] = group.processes
    names = dict.fromkeys((*order, *processes))
    group.config = ProcessGroupConfig(
        group.config.options,
        group.config.name,
        priority,
        [processes[name].config for name in names if name in processes],
    )
