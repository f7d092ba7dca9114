"""The options of a program, as data: name, kind of value, meaning.

An option is either gearfleet's own (`processes`, `drain_timeout`) or one of
Supervisor's ``[program:x]`` options under its own name. The defaults are those
that a fleet of job workers needs; where one differs from Supervisor's own, its
help says why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal, TypeVar

from gearfleet.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


T = TypeVar("T")

#: What an option's value may be once it is checked.
Value = bool | int | float | str | tuple[str, ...] | Mapping[str, str]


#: Characters that a secret has at least: who takes 128 bits of chance in hexadecimal has 32.
MIN_SECRET = 16

#: The levels of a log, from nearly nothing to everything.
LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")


class BadValue(ValueError):
    """What a value should have been; the caller adds where it stands."""


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadValue("true or false")
    return value


def text(value: object) -> str:
    if not isinstance(value, str):
        raise BadValue("a text")
    return value


def count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadValue("a whole number, 0 or more")
    return value


def positive(value: object) -> int:
    if count(value) == 0:
        raise BadValue("a whole number, 1 or more")
    return count(value)


def integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValue("a whole number")
    return value


def seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise BadValue("a number of seconds, 0 or more")
    return value


def texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise BadValue('a list of texts, such as ["a", "b"]')
    return tuple(text(item) for item in value)


def secrets(value: object) -> tuple[str, ...]:
    """Accept a list of secrets; the messages show none."""
    try:
        found = texts(value)
    except BadValue:
        raise BadValue("a list of texts") from None
    if any(len(secret) < MIN_SECRET for secret in found):
        raise BadValue(f"a list of secrets of at least {MIN_SECRET} characters")
    return found


def words(value: object) -> tuple[str, ...]:
    """Accept a command as one text, split at white space, or as the list of its arguments."""
    parts = tuple(value.split()) if isinstance(value, str) else texts(value)
    if not parts:
        raise BadValue('a command, such as "/srv/app/bin/gearfleet"')
    return parts


def size(value: object) -> str:
    """Accept bytes as a number, or with the suffix KB, MB or GB (Supervisor's own form)."""
    shown = str(value) if not isinstance(value, bool) else ""
    if not re.fullmatch(r"\d+(KB|MB|GB)?", shown, re.IGNORECASE):
        raise BadValue('a size, such as 0, "512KB" or "50MB"')
    return shown


def bytes_of(size: str) -> int:
    """Return the number that a checked `size` stands for; Supervisor's units are of 1024 too."""
    units = {"KB": 2**10, "MB": 2**20, "GB": 2**30}
    unit = units.get(size[-2:].upper(), 1)
    return int(size[:-2] if unit > 1 else size) * unit


def octal(value: object) -> str:
    shown = value if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-7]{1,4}", shown):
        raise BadValue('an octal text, such as "022"')
    return shown


def exit_codes(value: object) -> tuple[str, ...]:
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not all(type(item) is int and 0 <= item <= 255 for item in items) or not items:
        raise BadValue("a list of exit codes from 0 to 255, such as [2, 3, 78]")
    return tuple(str(item) for item in items)


def autorestart(value: object) -> bool | str:
    if value == "unexpected":
        return "unexpected"
    try:
        return boolean(value)
    except BadValue:
        raise BadValue('true, false or "unexpected"') from None


def mode(value: object) -> str:
    if value not in ("single", "pool"):
        raise BadValue('"single" or "pool"')
    return str(value)


def stop_signal(value: object) -> str:
    names = ("TERM", "HUP", "INT", "QUIT", "KILL", "USR1", "USR2")
    if value not in names:
        raise BadValue(f"one of {', '.join(names)}")
    return str(value)


def level(value: object) -> str:
    if not isinstance(value, str) or value.upper() not in LEVELS:
        raise BadValue(f"one of {', '.join(LEVELS)}, in any case")
    return value.upper()


def log_format(value: object) -> str:
    if value not in ("human", "json"):
        raise BadValue('"human" or "json"')
    return str(value)


def stop(value: object) -> Literal["drain", "immediate"]:
    if value not in ("drain", "immediate"):
        raise BadValue('"drain" or "immediate"')
    return "immediate" if value == "immediate" else "drain"


def send_failure(value: object) -> str:
    if value not in ("raise", "run"):
        raise BadValue('"raise" or "run"')
    return str(value)


def results(value: object) -> str:
    shown = text(value)
    is_known = shown in ("sqlite", "memory", "none")
    is_path = len(shown.removeprefix("sqlite:///")) > 0 and shown.startswith("sqlite:///")
    if not (is_known or is_path or re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", shown)):
        raise BadValue('"sqlite", "sqlite:///path", "memory", "none" or a dotted path')
    return shown


def save_limit(value: object) -> int:
    if integer(value) < -1:
        raise BadValue("a whole number: 0 keeps all, -1 none")
    return integer(value)


def save_limit_per(value: object) -> str:
    shown = text("" if value is None else value)
    if shown not in ("", "group", "name", "func", "function"):
        raise BadValue('"group", "name", "function" or ""')
    return "function" if shown == "func" else shown  # as django-q2 writes it


def name(value: object) -> str:
    """Accept a name of a program, group or fleet; Supervisor breaks on others."""
    shown = value if isinstance(value, str) else ""
    # A file that begins with '.' is not matched by the "*.conf" of an [include].
    if not re.fullmatch(r"(?![.-])[A-Za-z0-9_.-]+", shown) or shown == "all":
        raise BadValue(
            "a name of letters, digits, '_', '.' and '-', a letter or digit first, and not 'all'"
        )
    return shown


def environment(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise BadValue('a table of texts, such as { LANG = "C.UTF-8" }')
    for key, item in value.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(key)):
            raise BadValue(f"a table of variables; '{key}' is no name of one")
        if not isinstance(item, str):
            raise BadValue(f"a table of texts; put the value of {key} in quotes")
    return dict(value)


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, the check of its value, its meaning and its default."""

    name: str
    check: Callable[[object], Value]
    help: str
    default: Value | None = None


#: gearfleet's own options of a program.
OWN: tuple[Option, ...] = (
    Option("processes", count, "how many workers of the program run", 1),
    Option(
        "mode",
        mode,
        "whose processes the workers are: of Supervisor (single), or of a pool's parent (pool)",
        "single",
    ),
    Option("program", name, "the program's name, where the derived one does not fit"),
    Option("executable", words, "what starts gearfleet; default: the one that renders"),
    Option("drain_timeout", seconds, "how long a stopping worker may finish its job", 60),
    Option("interrupt_grace", seconds, "how long an interrupted task may clean up", 5),
    Option("hook_timeout", seconds, "how long the shutdown hooks may take together", 10),
    Option(
        "stop", stop, "what the first signal does to a job in hand: drain or immediate", "drain"
    ),
    Option("time_limit", seconds, "after how many seconds a job is ended by force; 0: never", 0),
    Option("max_jobs", count, "after how many jobs a worker is renewed; 0 for any number", 0),
    Option("max_lifetime", seconds, "after how many seconds a worker is renewed; 0 for never", 0),
    Option(
        "max_rss", size, 'with how much memory a worker is renewed, such as "512MB"; 0 for any', "0"
    ),
    Option(
        "max_idle", seconds, "after how many seconds without a job a worker is renewed; 0: never", 0
    ),
    Option("concurrency", positive, "how many jobs run at a time in each process", 1),
    Option("prefetch", positive, "how many jobs may be in a worker, the running one included", 1),
    Option("loglevel", level, "what is logged; default: as the project says, else INFO"),
    Option("log_format", log_format, 'how a line looks, "human" or "json"; default: human'),
)

#: Supervisor's options of a program, as far as gearfleet does not derive them.
SUPERVISOR: tuple[Option, ...] = (
    Option("process_name", text, "name of each process", "%(program_name)s_%(process_num)02d"),
    Option("directory", text, "where the workers run; default: the project's directory"),
    Option("user", text, "the account of the workers; default: supervisord's"),
    Option("umask", octal, "file mode mask of the workers"),
    Option("priority", integer, "order of start and of listing; nothing waits for it"),
    Option("autostart", boolean, "start with supervisord", True),
    Option(
        "autorestart",
        autorestart,
        "whom to start again: all but the exit codes that a restart cannot cure",
        "unexpected",
    ),
    Option(
        "exitcodes",
        exit_codes,
        "usage, import and configuration errors stay down",
        ("2", "3", "78"),
    ),
    Option("startsecs", count, "seconds up until a start counts as good", 2),
    Option("startretries", count, "about five minutes of attempts, for an outage", 24),
    Option("stopsignal", stop_signal, "the signal that drains", "TERM"),
    Option("stopwaitsecs", positive, "seconds until SIGKILL; default: the stop ladder's sum + 5"),
    Option("stopasgroup", boolean, "signal children too: would break a pool's drain", False),
    Option("killasgroup", boolean, "SIGKILL children too: leaves no orphan", True),
    Option("redirect_stderr", boolean, "one log for both streams", True),
    Option("stdout_logfile", text, "log file of each process, AUTO or NONE"),
    Option("stdout_logfile_maxbytes", size, "size at which the log is rotated"),
    Option("stdout_logfile_backups", count, "rotated logs to keep"),
    Option("stdout_capture_maxbytes", size, "size of the capture buffer"),
    Option("stdout_events_enabled", boolean, "emit PROCESS_LOG events"),
    Option("stdout_syslog", boolean, "log to syslog"),
    Option("stderr_logfile", text, "log file of standard error; needs redirect_stderr = false"),
    Option("stderr_logfile_maxbytes", size, "size at which the log is rotated"),
    Option("stderr_logfile_backups", count, "rotated logs to keep"),
    Option("stderr_capture_maxbytes", size, "size of the capture buffer"),
    Option("stderr_events_enabled", boolean, "emit PROCESS_LOG events"),
    Option("stderr_syslog", boolean, "log to syslog"),
    Option("serverurl", text, "SUPERVISOR_SERVER_URL of the workers"),
    Option("environment", environment, "environment of the workers", {}),
)

OPTIONS: Mapping[str, Option] = {option.name: option for option in (*OWN, *SUPERVISOR)}

#: Supervisor options that gearfleet derives, and what to set instead.
DERIVED: Mapping[str, str] = {
    "command": "gearfleet writes the command; set 'executable' for what starts it",
    "numprocs": "set 'processes'",
    "numprocs_start": "processes are numbered from 0",
}

DEFAULTS: Mapping[str, Value] = {
    option.name: option.default for option in OPTIONS.values() if option.default is not None
}


def check_options(
    table: Mapping[str, object], where: str, *, without: Iterable[str] = ()
) -> dict[str, Value]:
    """Return the checked options of one settings table; `where` is its key's path.

    Raises:
        ConfigError: an unknown option (with the nearest name) or a value of
            the wrong kind, by its key's path.
    """
    known = OPTIONS.keys() - set(without)
    options: dict[str, Value] = {}
    for key, value in table.items():
        path = f"{where}.{key}"
        if key in DERIVED:
            raise ConfigError(f"Setting '{path}' cannot be set: {DERIVED[key]}")
        if key not in known:
            raise ConfigError(f"Unknown setting '{path}' {did_you_mean(key, known)}")
        options[key] = checked(OPTIONS[key].check, value, path)
    return options


def checked(check: Callable[[object], T], value: object, path: str) -> T:
    """Return `value` as `check` reads it, or raise `ConfigError` naming `path`."""
    try:
        return check(value)
    except BadValue as expected:
        raise ConfigError(f"Setting '{path}' must be {expected}; it is {value!r}") from None
