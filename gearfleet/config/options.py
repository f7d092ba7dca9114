"""The options of a program, as data: name, kind of value, meaning.

An option is either gearfleet's own (`processes`, `drain_timeout`) or one of
Supervisor's ``[program:x]`` options under its own name. The defaults are those
that a fleet of job workers needs; where one differs from Supervisor's own, its
help says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gearfleet.config import values
from gearfleet.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: What an option's value may be once it is checked.
Value = bool | int | float | str | tuple[str, ...] | Mapping[str, str]


class Option(NamedTuple):
    """One option: its name, the check of its value, its meaning and its default."""

    name: str
    check: Callable[[object], Value]
    help: str
    default: Value | None = None


#: gearfleet's own options of a program.
OWN: tuple[Option, ...] = (
    Option(
        "processes",
        values.workers,
        'how many workers of the program run: a number, "cpu", or a multiple such as "cpu*2"',
        1,
    ),
    Option(
        "mode",
        values.mode,
        "whose processes the workers are: Supervisor's (processes), or a pool's parent's (pool)",
        "processes",
    ),
    Option(
        "layout",
        values.layout,
        "what a program is made of: one worker module (worker), or all of a queue (queue)",
        "worker",
    ),
    Option("program", values.name, "the program's name, where the derived one does not fit"),
    Option("command", values.command, "what an extra program runs"),
    Option("executable", values.words, "what starts gearfleet; default: the one that renders"),
    Option("env_files", values.files, "files with variables that each process reads at its start"),
    Option("drain_timeout", values.seconds, "how long a stopping worker may finish its job", 60),
    Option("interrupt_grace", values.seconds, "how long an interrupted task may clean up", 5),
    Option("hook_timeout", values.seconds, "how long the shutdown hooks may take together", 10),
    Option(
        "stop",
        values.stop,
        "what the first signal does to a job in hand: drain or immediate",
        "drain",
    ),
    Option(
        "time_limit", values.seconds, "after how many seconds a job is ended by force; 0: never", 0
    ),
    Option(
        "max_jobs", values.count, "after how many jobs a worker is renewed; 0 for any number", 0
    ),
    Option(
        "max_lifetime", values.seconds, "after how many seconds a worker is renewed; 0 for never", 0
    ),
    Option(
        "max_rss",
        values.size,
        'with how much memory a worker is renewed, such as "512MB"; 0 for any',
        "0",
    ),
    Option(
        "max_idle",
        values.seconds,
        "after how many seconds without a job a worker is renewed; 0: never",
        0,
    ),
    Option("concurrency", values.positive, "how many jobs run at a time in each process", 1),
    Option(
        "prefetch", values.positive, "how many jobs may be in a worker, the running one included", 1
    ),
    Option(
        "cpu_affinity",
        values.count,
        "how many CPUs each worker may use, spread over the workers of the program; 0: all",
        0,
    ),
    Option("loglevel", values.level, "what is logged; default: as the project says, else INFO"),
    Option("log_format", values.log_format, 'how a line looks, "human" or "json"; default: human'),
)

#: Supervisor's options of a program, as far as gearfleet does not derive them.
SUPERVISOR: tuple[Option, ...] = (
    Option(
        "process_name", values.text, "name of each process", "%(program_name)s_%(process_num)02d"
    ),
    Option("directory", values.text, "where the workers run; default: the project's directory"),
    Option("user", values.text, "the account of the workers; default: supervisord's"),
    Option("umask", values.octal, "file mode mask of the workers"),
    Option("priority", values.integer, "order of start and of listing; nothing waits for it"),
    Option("autostart", values.boolean, "start with supervisord", True),
    Option(
        "autorestart",
        values.autorestart,
        "whom to start again: all but the exit codes that a restart cannot cure",
        "unexpected",
    ),
    Option(
        "exitcodes",
        values.exit_codes,
        "usage, import and configuration errors stay down",
        ("2", "3", "78"),
    ),
    Option("startsecs", values.count, "seconds up until a start counts as good", 2),
    Option("startretries", values.count, "about five minutes of attempts, for an outage", 24),
    Option("stopsignal", values.stop_signal, "the signal that drains", "TERM"),
    Option(
        "stopwaitsecs", values.positive, "seconds until SIGKILL; default: the stop ladder's sum + 5"
    ),
    Option("stopasgroup", values.boolean, "signal children too: would break a pool's drain", False),
    Option("killasgroup", values.boolean, "SIGKILL children too: leaves no orphan", True),
    Option("redirect_stderr", values.boolean, "one log for both streams", True),
    Option("stdout_logfile", values.text, "log file of each process, AUTO or NONE"),
    Option("stdout_logfile_maxbytes", values.size, "size at which the log is rotated"),
    Option("stdout_logfile_backups", values.count, "rotated logs to keep"),
    Option("stdout_capture_maxbytes", values.size, "size of the capture buffer"),
    Option("stdout_events_enabled", values.boolean, "emit PROCESS_LOG events"),
    Option("stdout_syslog", values.boolean, "log to syslog"),
    Option(
        "stderr_logfile", values.text, "log file of standard error; needs redirect_stderr = false"
    ),
    Option("stderr_logfile_maxbytes", values.size, "size at which the log is rotated"),
    Option("stderr_logfile_backups", values.count, "rotated logs to keep"),
    Option("stderr_capture_maxbytes", values.size, "size of the capture buffer"),
    Option("stderr_events_enabled", values.boolean, "emit PROCESS_LOG events"),
    Option("stderr_syslog", values.boolean, "log to syslog"),
    Option("serverurl", values.text, "SUPERVISOR_SERVER_URL of the workers"),
    Option("environment", values.environment, "environment of the workers", {}),
)

OPTIONS: Mapping[str, Option] = {option.name: option for option in (*OWN, *SUPERVISOR)}

#: Supervisor options that gearfleet derives, and what to set instead.
DERIVED: Mapping[str, str] = {
    "numprocs": "set 'processes'",
    "numprocs_start": "processes are numbered from 0",
}

DEFAULTS: Mapping[str, Value] = {
    option.name: option.default for option in OPTIONS.values() if option.default is not None
}

#: Of gearfleet's own options those that mean something to a program with a command of its own.
OF_COMMANDS = frozenset({"command", "processes", "executable", "env_files"})

#: The defaults of such a program: what its exit codes mean, nobody here knows.
COMMAND_DEFAULTS: Mapping[str, Value] = {
    **{each.name: each.default for each in SUPERVISOR if each.default and each.name != "exitcodes"},
    "processes": 1,
    "autorestart": True,
}

#: What to do about an option that stands in another table.
_ELSEWHERE: Mapping[str, str] = {
    "program": "it is for one program; write it into [programs.NAME]",
    "command": "gearfleet writes the command; set 'executable' for what starts it, or give a "
    "program that is no worker its own command in [programs.NAME]",
    "layout": "the programs of a queue have one; write it into [queues.QUEUE] or [fleet]",
}

#: Where an option may stand that does not fit every table.
_RANKS: Mapping[str, tuple[str, ...]] = {
    "program": ("programs",),
    "command": ("programs",),
    "layout": ("fleet", "queues"),
}


def check_options(table: Mapping[str, object], rank: str, where: str) -> dict[str, Value]:
    """Return the checked options of one settings table.

    Args:
        table: as it was written.
        rank: of the table: fleet, queues or programs.
        where: the path of its key.

    Raises:
        ConfigError: an unknown option (with the nearest name) or a value of
            the wrong kind, by its key's path.
    """
    known = [name for name in OPTIONS if rank in _RANKS.get(name, (rank,))]
    options: dict[str, Value] = {}
    for key, value in table.items():
        path = f"{where}.{key}"
        if key in DERIVED:
            raise ConfigError(f"Setting '{path}' cannot be set: {DERIVED[key]}")
        if key in _RANKS and key not in known:
            raise ConfigError(f"Setting '{path}' cannot be set: {_ELSEWHERE[key]}")
        if key not in known:
            raise ConfigError(f"Unknown setting '{path}' {did_you_mean(key, known)}")
        options[key] = checked(OPTIONS[key].check, value, path)
    if "command" in options:
        _refuse_options_of_workers(options, where)
    return options


def _refuse_options_of_workers(options: Mapping[str, Value], where: str) -> None:
    for option in OWN:
        if option.name in options and option.name not in OF_COMMANDS:
            raise ConfigError(
                f"Setting '{where}.{option.name}' is for workers, and this program has a command "
                "of its own; leave it out"
            )


def checked(check: Callable[[object], T], value: object, path: str) -> T:
    """Return `value` as `check` reads it, or raise `ConfigError` naming `path`."""
    try:
        return check(value)
    except values.BadValue as expected:
        # A table of variables may hold secrets.
        shown = "another table" if isinstance(value, Mapping) else repr(value)
        raise ConfigError(f"Setting '{path}' must be {expected}; it is {shown}") from None
