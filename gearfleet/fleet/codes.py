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
    Code(
        "GF113",
        ERROR,
        "the tasks do not import, so nobody knows what they are",
        "mend the module; `gearfleet tasks` shows the whole traceback",
    ),
    Code(
        "GF201",
        ERROR,
        "Supervisor refuses the configuration: no `reread` or `update` works, and a restart of supervisord fails",
        "mend the line, or take the file away",
    ),
    Code(
        "GF202",
        WARNING,
        "a key that Supervisor does not know, and passes over",
        "correct its spelling, or remove it",
    ),
    Code(
        "GF203",
        WARNING,
        "a section that Supervisor does not know, and passes over",
        "correct its spelling, or remove it",
    ),
    Code(
        "GF204",
        ERROR,
        "a value that is cut off where white space is followed by `;` or `#`, even within quotes",
        "leave the white space out; in a command write `'a ''; b'` for `'a ; b'`",
    ),
    Code(
        "GF205",
        WARNING,
        "a key that stands twice in a section: the last one counts",
        "remove one of them",
    ),
    Code(
        "GF206",
        ERROR,
        "a section that stands twice: Supervisor mixes the two, key by key",
        "rename one of them, or take one file away",
    ),
    Code(
        "GF207",
        ERROR,
        "a name of the fleet that a file has which gearfleet did not write",
        "rename the other one, or set `name` in `[fleet]` so that this fleet has other names",
    ),
    Code(
        "GF208",
        ERROR,
        "processes of a group with the same name: Supervisor runs only one of them",
        "put `%(program_name)s_%(process_num)02d` into `process_name`",
    ),
    Code(
        "GF209",
        ERROR,
        "two groups with one name (a program outside of groups makes one): only one of them runs",
        "rename one of them",
    ),
    Code(
        "GF210",
        ERROR,
        "a command that cannot be split into words: its program never starts",
        "close its quotes",
    ),
    Code(
        "GF211",
        ERROR,
        "`%(ENV_x)s` of a variable that is not set: where supervisord lacks it too, it refuses its whole configuration",
        "set the variable where supervisord is started, or write its value",
    ),
    Code(
        "GF212",
        ERROR,
        "a `%` that Supervisor cannot expand: it refuses its whole configuration",
        "write `%%` for a percent sign",
    ),
    Code(
        "GF213",
        ERROR,
        "a `[ctlplugin]` in an included file, which supervisorctl never reads",
        "move the section into the main file",
    ),
    Code(
        "GF214",
        WARNING,
        "an `[include]` in an included file, which Supervisor passes over",
        "move it into the main file",
    ),
    Code(
        "GF215",
        WARNING,
        "supervisord may run out of descriptors: what it cannot start becomes FATAL",
        "raise `minfds` in `[supervisord]`, and restart supervisord",
    ),
    Code(
        "GF216",
        WARNING,
        "a program that is in a group twice, or in two: it runs twice",
        "leave it in one",
    ),
    Code(
        "GF217",
        WARNING,
        "a name that commands of supervisorctl cannot take, or take for every process",
        "use letters, digits, `_`, `.` and `-`, and not `all`",
    ),
    Code(
        "GF218",
        WARNING,
        "Supervisor itself warns",
        "do as it says",
    ),
    Code(
        "GF219",
        WARNING,
        "several processes write and rotate one log file",
        "put `%(process_num)02d` into its name, or set its `_maxbytes` to 0",
    ),
    Code(
        "GF220",
        ERROR,
        "a template makes something else of the plan than was planned",
        "set options in the settings, not in templates",
    ),
    Code(
        "GF221",
        ERROR,
        "the path of a unix socket is longer than the 107 bytes that the system allows",
        "choose a shorter one",
    ),
    Code(
        "GF222",
        WARNING,
        "a pattern of `[include]` that no file matches",
        "correct it, or render the fleet there",
    ),
    Code(
        "GF223",
        WARNING,
        "an included file that cannot be read: Supervisor passes over one that it may not read",
        "run this as supervisord's user, or mend the file's mode",
    ),
    Code(
        "GF301",
        ERROR,
        "the program of a command does not exist, or cannot be run",
        "install it, or correct the command",
    ),
    Code(
        "GF302",
        ERROR,
        "the directory of a program does not exist: its processes never start",
        "create it, or correct `directory`",
    ),
    Code(
        "GF303",
        ERROR,
        "an account that this host does not have: Supervisor refuses its whole configuration",
        "create it, or correct `user`",
    ),
    Code(
        "GF304",
        ERROR,
        "the directory of a log file does not exist: Supervisor refuses its whole configuration",
        "create it, or correct the log file",
    ),
    Code(
        "GF305",
        ERROR,
        "a file with variables does not exist: its processes end at their start",
        "create it, or correct `env_files`",
    ),
    Code(
        "GF401",
        WARNING,
        "a file of the fleet is missing in the directory",
        "run `gearfleet render -o DIR`",
    ),
    Code(
        "GF402",
        WARNING,
        "a file is not what would be rendered now",
        "run `gearfleet render -o DIR`",
    ),
    Code(
        "GF403",
        WARNING,
        "a file that gearfleet wrote was edited by hand: the next rendering would lose that",
        "bring the change into the settings, then render again",
    ),
    Code(
        "GF404",
        WARNING,
        "a file of a program that the fleet does not have any more",
        "run `gearfleet render -o DIR`, which removes it",
    ),
    Code(
        "GF405",
        ERROR,
        "a file that gearfleet did not write has the name of one that it would write",
        "move it away, or set `name` in `[fleet]`",
    ),
    Code(
        "GF406",
        ERROR,
        "supervisord does not read the directory: no pattern of its `[include]` matches",
        "add the directory to `files` in `[include]` of the main file",
    ),
    Code(
        "GF501",
        ERROR,
        "supervisord cannot be asked: nothing is known of its processes",
        "start it, or say where it listens with `-c FILE` or `--url URL`",
    ),
    Code(
        "GF502",
        ERROR,
        "processes are FATAL: they ended too soon too often, and stay down",
        "mend the cause, which their log tells, then `gearfleet start` them",
    ),
    Code(
        "GF503",
        WARNING,
        "processes end again and again before `startsecs`; soon they are FATAL",
        "look into their log",
    ),
    Code(
        "GF504",
        ERROR,
        "processes have ended, and a restart would not cure the cause",
        "mend the cause, then `gearfleet start` them",
    ),
    Code(
        "GF505",
        WARNING,
        "processes are stopped, and stay so until somebody starts them",
        "`gearfleet start` them, if that was not meant",
    ),
    Code(
        "GF506",
        ERROR,
        "supervisord does not know processes of the plan",
        "`gearfleet apply -o DIR -c FILE`",
    ),
    Code(
        "GF507",
        WARNING,
        "supervisord has processes in groups of the fleet that are not in the plan",
        "`gearfleet apply -o DIR -c FILE`",
    ),
    Code(
        "GF508",
        WARNING,
        "workers run another release than the code that lies here",
        "`gearfleet restart` their group",
    ),
    Code(
        "GF509",
        ERROR,
        "supervisord may open fewer files than its processes need: what it cannot start becomes FATAL",
        "raise `minfds` in `[supervisord]`, and restart supervisord",
    ),
    Code(
        "GF510",
        ERROR,
        "supervisorctl cannot load gearfleet's plugin: no command of it works",
        "install gearfleet for the Python of supervisorctl, or remove `[ctlplugin:gearfleet]`",
    ),
    Code(
        "GF511",
        NOTE,
        "supervisorctl has no command `gearfleet`",
        "paste what `gearfleet supervisor-conf` prints into the main file, if you want it",
    ),
    Code(
        "GF512",
        WARNING,
        "supervisorctl cannot be asked whether it knows gearfleet's plugin",
        "give it more time with `--timeout`, or see that supervisorctl is there",
    ),
    Code(
        "GF601",
        ERROR,
        "a job server cannot be asked: no jobs flow there, if it is down for the workers too",
        "start it, or correct `servers`",
    ),
    Code(
        "GF602",
        ERROR,
        "a task that no worker serves at a job server",
        "start its program; if that runs, look into its log",
    ),
    Code(
        "GF603",
        ERROR,
        "jobs wait, and no worker serves their task",
        "start its program; if that runs, look into its log",
    ),
    Code(
        "GF604",
        ERROR,
        "a program runs, and a job server knows none of its workers",
        "see that it has the same `servers`, and look into its log",
    ),
    Code(
        "GF605",
        WARNING,
        "delayed jobs and retries are lost when the job server ends, because it has no persistent queue",
        "start gearmand with a queue, such as `--queue-type=libsqlite3 --libsqlite3-db=FILE`",
    ),
    Code(
        "GF606",
        WARNING,
        "gearmand was started without `--keepalive-idle`: the job of a worker whose host vanished stays with it for hours",
        "start it with `--keepalive --keepalive-idle=30 --keepalive-interval=10 --keepalive-count=3`; `ss -to` shows the timers",
    ),
    Code(
        "GF607",
        NOTE,
        "a job server of which cannot be seen, from here, whether it has a persistent queue and keepalive",
        "run `gearfleet doctor` there as well",
    ),
    Code(
        "GF608",
        WARNING,
        "jobs wait under a function that no task of this project has, and no worker serves it",
        "run the project that serves it; jobs of a task that is gone can be dropped",
    ),
)

CODES = {code.code: code for code in _TABLE}
