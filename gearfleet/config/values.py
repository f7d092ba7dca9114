"""What a value of the settings may be: each function returns it as it is kept, or raises `BadValue`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from math import inf
from typing import Literal

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


def command(value: object) -> tuple[str, ...]:
    """Accept a command as the list of its arguments, or as one text, quoted as for a shell."""
    try:
        parts = tuple(shlex.split(value)) if isinstance(value, str) else texts(value)
    except ValueError as error:
        raise BadValue(f"a command: {error}") from None
    if not parts or not parts[0]:
        raise BadValue('a command, such as ["gearfleet", "scheduler"]')
    return parts


def files(value: object) -> tuple[str, ...]:
    found = texts(value)
    if any(not each or ":" in each for each in found):
        raise BadValue("a list of paths without ':', such as [\".env\"]")
    return found


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


def workers(value: object) -> int | str:
    """Accept a number, or a multiple of the CPUs, which only the plan of a host knows."""
    shown = re.sub(r"\s", "", value) if isinstance(value, str) else value
    if isinstance(shown, str) and re.fullmatch(r"cpu(\*\d+(\.\d+)?)?", shown):
        return shown
    try:
        return count(shown)
    except BadValue:
        raise BadValue('a whole number, 0 or more, "cpu", or a multiple such as "cpu*2"') from None


def some_workers(value: object) -> int | str:
    """Accept what `workers` does, unless it is none."""
    found = workers(value)
    if workers_on(found, 1) == 0:
        raise BadValue('a whole number, 1 or more, "cpu", or a multiple such as "cpu*2"')
    return found


def workers_on(value: int | str, cpus: int) -> int:
    """Return how many a checked `value` of `workers` are on a host with `cpus`, rounded down.

    Example:
        >>> workers_on(3, 8), workers_on("cpu*2", 8), workers_on("cpu*0.5", 1)
        (3, 16, 1)
    """
    if isinstance(value, int):
        return value
    factor = float(value.partition("*")[2] or 1)
    return max(int(cpus * factor), 1) if factor else 0


def mode(value: object) -> str:
    if value == "single":  # as it was called first
        return "processes"
    if value not in ("processes", "pool"):
        raise BadValue('"processes" or "pool"')
    return str(value)


def layout(value: object) -> str:
    if value not in ("worker", "queue"):
        raise BadValue('"worker" or "queue"')
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


def store(value: object) -> str:
    shown = text(value)
    if not (shown in ("sqlite", "django") or _is_place(shown)):
        raise BadValue('"sqlite", "sqlite:///path", "django" or a dotted path')
    return shown


def results(value: object) -> str:
    shown = text(value)
    is_known = shown in ("sqlite", "memory", "none") or re.fullmatch(r"django(:.+)?", shown)
    if not (is_known or _is_place(shown)):
        raise BadValue('"sqlite", "sqlite:///path", "django", "memory", "none" or a dotted path')
    return shown


def _is_place(shown: str) -> bool:
    """Tell whether `shown` names a file of SQLite, or has the form of a dotted path."""
    return bool(re.fullmatch(r"sqlite:///.+|[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", shown, re.DOTALL))


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


def variable(value: object) -> str:
    """Accept the name of a variable of the environment."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise BadValue('the name of an environment variable, such as "SUPERVISOR_PASSWORD"')
    return value


def supervisord_url(value: object) -> str:
    """Accept the address of a supervisord; secrets do not belong into a settings file."""
    shown = value if isinstance(value, str) else ""
    if not re.fullmatch(r"unix:///.+|https?://[^/\s]+(/\S*)?", shown):
        raise BadValue('"unix:///path/to/supervisor.sock" or "http://host:port"')
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
