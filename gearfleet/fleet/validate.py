"""Supervisor's own parser reads what was rendered; what it read must be what was planned.

The parser gets all files as one text and writes nothing. (As included files
they would take it a time that grows with their number squared: it looks
through all sections again after each file.)
"""

from __future__ import annotations

import io
import re
import shlex
import signal
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ConfigError, InvalidFleet
from gearfleet.fleet.checks.host import (
    LOG_FILES,
    ThisHost,
    expansions,
    review_log_directories,
    review_users,
    uid_of,
)
from gearfleet.fleet.quoting import LOG_WORDS, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gearfleet.config import Value
    from gearfleet.fleet.checks.host import Host
    from gearfleet.fleet.model import Fleet, Group, Program

#: Comments, then a section or nothing: so that one text means the same as its files.
_BEGINS_WITH_SECTION = re.compile(r"(?:[;#].*\n|[ \t]*\n)*(?:\[|\Z)")


def validate(fleet: Fleet, files: Mapping[str, str]) -> None:
    """Raise unless Supervisor reads `files` (text by name) as exactly `fleet`.

    Raises:
        ConfigError: a user or a log directory does not exist on this host.
        InvalidFleet: the parser refuses a file, or reads something else than
            was planned; the message names program and option.
    """
    _refuse_missing(fleet, ThisHost())
    compare(fleet, files)


def _refuse_missing(fleet: Fleet, host: Host) -> None:
    """Raise for what Supervisor's parser asks of the host, where that is missing."""
    for missing in (*review_users(fleet, host), *review_log_directories(fleet, host)):
        raise ConfigError(f"{missing.message}; {missing.fix[0].lower()}{missing.fix[1:]}")


def compare(fleet: Fleet, files: Mapping[str, str]) -> None:
    """Raise unless Supervisor reads `files` as exactly `fleet`, whose host has what it needs.

    Raises:
        InvalidFleet: the parser refuses a file, or reads something else than was planned.
    """
    programs = {program.name: program for program in fleet.programs}
    members = [(group, [programs[name] for name in group.programs]) for group in fleet.groups]
    read = {group.name: group for group in _parse(files)}
    for group, of_group in members:
        _compare_group(group, of_group, read.pop(group.name, None))
    for name in read:
        raise InvalidFleet(f"Group or program '{name}' is in a template, but not in the plan")


def _parse(files: Mapping[str, str]) -> list[Any]:
    from supervisor.options import ServerOptions

    for name, text in files.items():
        if not _BEGINS_WITH_SECTION.match(text):
            raise InvalidFleet(f"{name} has a line before its first section; Supervisor refuses it")
    options = ServerOptions()
    options.configfile, options.here = "the rendered text", "."
    try:
        section = options.read_config(io.StringIO("\n".join(["[supervisord]", *files.values()])))
    except Exception as error:  # ValueError mostly; odd text also raises configparser's own
        raise InvalidFleet(f"Supervisor refuses the rendered text: {error}") from error
    groups: list[Any] = section.process_group_configs
    return groups


def _compare_group(group: Group, members: list[Program], read: Any) -> None:
    if read is None:
        raise InvalidFleet(f"Group '{group.name}' is planned, but not in the rendered files")
    if group.priority not in (None, read.priority):
        raise InvalidFleet(
            f"Supervisor reads 'priority' of group '{group.name}' as {read.priority} where "
            f"{group.priority} is meant; does a template write it?"
        )
    planned = _processes(group, members)
    found = {config.name: config for config in read.process_configs}
    for process in found.keys() - planned.keys():
        raise InvalidFleet(f"Supervisor reads a process '{process}' that is not in the plan")
    for process, (program, names) in planned.items():
        if process not in found:
            raise InvalidFleet(
                f"Supervisor reads no process '{process}' of program '{program.name}'"
            )
        _compare_process(program, names, found[process])


def _processes(
    group: Group, members: list[Program]
) -> dict[str, tuple[Program, dict[str, str | int]]]:
    """Return program and expansions of each process by its name."""
    planned: dict[str, tuple[Program, dict[str, str | int]]] = {}
    for program in members:
        for names in expansions(group.name, program):
            process = expand(str(program.options["process_name"]), names)
            if process in planned:
                raise InvalidFleet(
                    f"{program.place('process_name')} gives two processes of group "
                    f"'{group.name}' the name '{process}' (the other is of program "
                    f"'{planned[process][0].name}')"
                )
            planned[process] = (program, names)
    return planned


def _compare_process(program: Program, names: Mapping[str, str | int], config: Any) -> None:
    for option, meant, read in _readings(program, names, config):
        if meant != read:
            raise InvalidFleet(
                f"Supervisor reads '{option}' of program '{program.name}' as {read!r} where "
                f"{meant!r} is meant; does a template write it?"
            )


def _readings(
    program: Program, names: Mapping[str, str | int], config: Any
) -> Iterator[tuple[str, object, object]]:
    """Yield each option with what is meant and what was read."""
    yield "command", list(program.command), shlex.split(config.command)
    yield "environment", dict(program.environment), config.environment
    for option, value in program.options.items():
        if option != "process_name":
            meant = _MEANT.get(option, _same)(value, names)
            yield option, meant, _value_of(getattr(config, _ATTRIBUTES.get(option, option)))


def _value_of(read: object) -> object:
    """Return what the parser made of an option; its marker classes become their names."""
    return read.__name__ if isinstance(read, type) else read


_ATTRIBUTES = {"user": "uid"}


def _same(value: Value, names: Mapping[str, str | int]) -> object:
    return value


def _logfile(value: Value, names: Mapping[str, str | int]) -> object:
    word = str(value).lower()
    if word in LOG_WORDS:
        return "Automatic" if word == "auto" else None
    return expand(str(value), names)


def _size(value: Value, names: Mapping[str, str | int]) -> object:
    units = {"KB": 1024, "MB": 1024**2, "GB": 1024**3}
    text = str(value).upper()
    unit = units.get(text[-2:])
    return int(text[:-2]) * unit if unit else int(text)


def _restart(value: Value, names: Mapping[str, str | int]) -> object:
    if value == "unexpected":
        return "RestartWhenExitUnexpected"
    return "RestartUnconditionally" if value else False


_MEANT: Mapping[str, Callable[[Any, Mapping[str, str | int]], object]] = {
    "autorestart": _restart,
    "exitcodes": lambda value, names: [int(code) for code in value],
    "serverurl": lambda value, names: None if value.strip().upper() == "AUTO" else value,
    "stopsignal": lambda value, names: signal.Signals[f"SIG{value}"],
    "umask": lambda value, names: int(value, 8),
    "user": lambda value, names: uid_of(value),
    **dict.fromkeys(LOG_FILES, _logfile),
    **{
        f"{stream}_{what}_maxbytes": _size
        for stream in ("stdout", "stderr")
        for what in ("logfile", "capture")
    },
}
