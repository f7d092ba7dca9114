"""The lines of one ``[program:x]``: each option's name and its text, ready to be written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from gearfleet.config import OPTIONS
from gearfleet.errors import UnrepresentableValue
from gearfleet.fleet import quoting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gearfleet.config import Value
    from gearfleet.fleet.model import Program

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
    with _naming(program, "executable" if program.modules else "command"):
        yield "command", quoting.command(program.command)
    yield "numprocs", str(program.processes)
    for option in OPTIONS:
        if option in program.options:
            with _naming(program, option):
                yield option, _text(option, program.options[option])
    if program.environment:
        yield "environment", ",".join(_variables(program))


def _variables(program: Program) -> Iterator[str]:
    for name in sorted(program.environment):
        with _naming(program, f"environment.{name}"):
            yield f"{name}={quoting.variable(program.environment[name])}"


def _text(option: str, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return _TEXTS.get(option, quoting.plain)(str(value))


@contextmanager
def _naming(program: Program, option: str) -> Iterator[None]:
    try:
        yield
    except quoting.Refused as reason:
        raise UnrepresentableValue(f"{program.place(option)} {reason}") from None
