"""The lines of one ``[program:x]``: each option's name and its text, ready to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gearfleet.config import OPTIONS
from gearfleet.errors import UnrepresentableValue
from gearfleet.fleet import quoting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gearfleet.config import Value
    from gearfleet.fleet.model import Program

T = TypeVar("T")

#: Options whose text may hold Supervisor's expansions, or may not even look as if.
_TEXTS: Mapping[str, Callable[[str], str]] = {
    "process_name": quoting.process_name,
    "directory": quoting.fixed_path,
    "stdout_logfile": quoting.log_file,
    "stderr_logfile": quoting.log_file,
}


def program_lines(program: Program) -> tuple[tuple[str, str], ...]:
    """Return name and text of each option of `program`: the command, then as they are described.

    Raises:
        UnrepresentableValue: Supervisor cannot express a value; the message
            names the setting, the reason and the way out.
    """
    return tuple(_lines(program))


def _lines(program: Program) -> Iterator[tuple[str, str]]:
    what = "executable" if program.modules else "command"
    yield "command", _written(program, what, quoting.command, program.command)
    yield "numprocs", str(program.processes)
    for option in OPTIONS:
        if option in program.options:
            yield option, _text(program, option, program.options[option])
    if program.environment:
        yield "environment", ",".join(_variables(program))


def _variables(program: Program) -> Iterator[str]:
    for name, value in sorted(program.environment.items()):
        yield f"{name}={_written(program, f'environment.{name}', quoting.variable, value)}"


def _text(program: Program, option: str, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return ",".join(value)
    return _written(program, option, _TEXTS.get(option, quoting.plain), str(value))


def _written(program: Program, option: str, quote: Callable[[T], str], value: T) -> str:
    try:
        return quote(value)
    except quoting.Refused as reason:
        raise UnrepresentableValue(f"{program.place(option)} {reason}") from None
