"""Rules that Supervisor does not hold, or explains badly: options that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.fleet.quoting import has_process_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.fleet.model import Fleet, Program


def lint(fleet: Fleet) -> tuple[str, ...]:
    """Return a sentence for each problem of `fleet`, with the setting and the fix.

    What programs share in a setting of the queue or the fleet is said once.
    """
    problems = (
        problem for program in fleet.programs for rule in _RULES for problem in rule(program)
    )
    return tuple(dict.fromkeys(problems))


def _kill_budget(program: Program) -> Iterator[str]:
    seconds = program.options.get("stopwaitsecs")
    if isinstance(seconds, int) and seconds < program.stop_budget:
        yield (
            f"{program.place('stopwaitsecs')} is {seconds}, but a worker may need "
            f"{program.stop_budget:g} s to stop (drain_timeout + interrupt_grace + hook_timeout"
            f"{' + 5 for its pool' if program.pool else ''}): "
            "Supervisor would kill it in its job. Lower those or leave stopwaitsecs out"
        )


def _process_names(program: Program) -> Iterator[str]:
    value = str(program.options.get("process_name"))
    if program.processes > 1 and not has_process_number(value):
        yield (
            f"{program.place('process_name')} is '{value}', the same for all "
            f"{program.processes} processes; put %(process_num)02d into it"
        )


def _kill_as_group(program: Program) -> Iterator[str]:
    if program.options.get("stopasgroup") and not program.options.get("killasgroup"):
        yield f"{program.place('killasgroup')} is false, but stopasgroup needs it; set it to true"


def _unused_log(program: Program) -> Iterator[str]:
    if program.options.get("redirect_stderr") and "stderr_logfile" in program.options:
        yield (
            f"{program.place('stderr_logfile')} is not used while redirect_stderr is true; "
            "set redirect_stderr = false or leave the file out"
        )


def _logs(program: Program) -> Iterator[str]:
    for stream in ("stdout", "stderr"):
        option = f"{stream}_logfile"
        value = str(program.options.get(option, "NONE"))
        if value.lower() == "syslog":
            yield f"{program.place(option)} is '{value}'; set {stream}_syslog = true instead"
        elif value.startswith("/"):
            yield from _rotation(program, option, value)


def _rotation(program: Program, option: str, value: str) -> Iterator[str]:
    limit = program.options.get(f"{option}_maxbytes", "50MB")
    if not str(limit).strip("0"):
        return
    if value.startswith("/dev/"):
        yield f"{program.place(f'{option}_maxbytes')} is {limit}, but {value} cannot be rotated"
    elif program.processes > 1 and not has_process_number(value):
        yield (
            f"{program.place(option)} is '{value}': {program.processes} processes would rotate one "
            f"file. Put %(process_num)02d into it, or set {option}_maxbytes = 0"
        )


_RULES = (_kill_budget, _process_names, _kill_as_group, _unused_log, _logs)
