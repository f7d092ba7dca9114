"""Every code that a finding can have: how bad it is, what it means, what to do.

docs/reference/findings.md shows this table. A code keeps its meaning for ever;
one that is not needed any more is not given to anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is, the worst first."""

    ERROR = "error"  #: jobs are not run, or will be killed or lost
    WARNING = "warning"  #: it works, but not as somebody meant it
    NOTE = "note"  #: worth knowing; nothing has to be done


ERROR, WARNING, NOTE = Severity


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table."""

    code: str
    severity: Severity
    meaning: str
    fix: str


#: What tasks and settings say (1), the text of a configuration (2), this host (3), a directory
#: with rendered files (4), a running supervisord (5), job servers (6).
_TABLE = (
    Code(
        "GF101",
        ERROR,
        "Supervisor kills a worker before it can have stopped by itself",
        "leave `stopwaitsecs` out, or lower `drain_timeout`, `interrupt_grace` or `hook_timeout`",
    ),
    Code(
        "GF102",
        ERROR,
        "a task may run longer than a stopping worker waits for it, so every restart interrupts it",
        "raise `drain_timeout` of its program, or lower the task's `time_limit`",
    ),
    Code(
        "GF103",
        NOTE,
        "tasks have no time limit: one that hangs keeps its worker busy until somebody looks",
        "give the task a `time_limit`, or its program",
    ),
    Code(
        "GF104",
        ERROR,
        "several processes of a program would have one name",
        "put `%(process_num)02d` into `process_name`",
    ),
    Code(
        "GF105",
        ERROR,
        "`stopasgroup` without `killasgroup`, which Supervisor refuses",
        "set `killasgroup = true`",
    ),
    Code(
        "GF106",
        ERROR,
        "a log file that is never written, because both streams go to the other",
        "set `redirect_stderr = false`, or leave `stderr_logfile` out",
    ),
    Code(
        "GF107",
        ERROR,
        "Supervisor's old word for logging to syslog",
        "set `stdout_syslog = true`, or `stderr_syslog`, instead",
    ),
    Code(
        "GF108",
        ERROR,
        "a log that would be rotated cannot be, or would be by several processes at once",
        "put `%(process_num)02d` into the name, or set its `_maxbytes` to 0",
    ),
    Code(
        "GF110",
        WARNING,
        "a task that no program serves: its jobs wait for ever",
        "give its program `processes`, on this host or on another one",
    ),
    Code(
        "GF111",
        NOTE,
        "a task that no program of this host serves, but one of another host",
        "nothing, if that is meant",
    ),
    Code(
        "GF112",
        WARNING,
        "a program that serves no task",
        "remove it, or give it the queue of a task",
    ),
)

CODES = {code.code: code for code in _TABLE}
