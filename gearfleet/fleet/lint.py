"""Rules over the plan alone: options that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.fleet.findings import Finding, finding
from gearfleet.fleet.quoting import has_process_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.fleet.model import Fleet, Program


def lint(fleet: Fleet) -> tuple[Finding, ...]:
    """Return what in the options of `fleet` cannot be meant; all of it is an error.

    What programs share in a setting of the queue or the fleet is said once.
    """
    found = (each for program in fleet.programs for rule in _RULES for each in rule(program))
    return tuple(dict.fromkeys(found))


def _found(program: Program, code: str, option: str, message: str, fix: str) -> Finding:
    return finding(
        code,
        f"{program.place(option)} {message}",
        fix,
        setting=program.sources.get(option, ""),
    )


def _kill_budget(program: Program) -> Iterator[Finding]:
    seconds = program.options.get("stopwaitsecs")
    if isinstance(seconds, int) and seconds < program.stop_budget:
        yield _found(
            program,
            "GF101",
            "stopwaitsecs",
            f"is {seconds}, but a worker may need {program.stop_budget:g} s to stop "
            "(drain_timeout + interrupt_grace + hook_timeout"
            f"{' + 5 for its pool' if program.pool else ''}): "
            "Supervisor would kill it in its job",
            "Lower those or leave stopwaitsecs out",
        )


def _process_names(program: Program) -> Iterator[Finding]:
    value = str(program.options.get("process_name"))
    if program.processes > 1 and not has_process_number(value):
        yield _found(
            program,
            "GF104",
            "process_name",
            f"is '{value}', the same for all {program.processes} processes",
            "Put %(process_num)02d into it",
        )


def _kill_as_group(program: Program) -> Iterator[Finding]:
    if program.options.get("stopasgroup") and not program.options.get("killasgroup"):
        yield _found(
            program,
            "GF105",
            "killasgroup",
            "is false, but stopasgroup needs it",
            "Set it to true",
        )


def _unused_log(program: Program) -> Iterator[Finding]:
    if program.options.get("redirect_stderr") and "stderr_logfile" in program.options:
        yield _found(
            program,
            "GF106",
            "stderr_logfile",
            "is not used while redirect_stderr is true",
            "Set redirect_stderr = false or leave the file out",
        )


def _logs(program: Program) -> Iterator[Finding]:
    for stream in ("stdout", "stderr"):
        option = f"{stream}_logfile"
        value = str(program.options.get(option, "NONE"))
        if value.lower() == "syslog":
            fix = f"Leave it out, and set {stream}_syslog = true instead"
            yield _found(program, "GF107", option, f"is '{value}'", fix)
        elif value.startswith("/"):
            yield from _rotation(program, option, value)


def _rotation(program: Program, option: str, value: str) -> Iterator[Finding]:
    limit = program.options.get(f"{option}_maxbytes", "50MB")
    if not str(limit).strip("0"):
        return
    if value.startswith("/dev/"):
        yield _found(
            program,
            "GF108",
            f"{option}_maxbytes",
            f"is {limit}, but {value} cannot be rotated",
            "Set it to 0",
        )
    elif program.processes > 1 and not has_process_number(value):
        yield _found(
            program,
            "GF108",
            option,
            f"is '{value}': {program.processes} processes would rotate one file",
            f"Put %(process_num)02d into it, or set {option}_maxbytes = 0",
        )


_RULES = (_kill_budget, _process_names, _kill_as_group, _unused_log, _logs)
