"""The sections and keys that Supervisor 4.2.5 and 4.3.0 know; all others they pass over."""

from __future__ import annotations

from gearfleet.config.options import DERIVED, SUPERVISOR

_PROGRAM = frozenset({"command", *DERIVED, *(option.name for option in SUPERVISOR)})
_LOGIN = frozenset({"username", "password"})

_SUPERVISORD = frozenset(
    {
        *("childlogdir", "directory", "environment", "identifier", "logfile", "logfile_backups"),
        *("logfile_maxbytes", "loglevel", "minfds", "minprocs", "nocleanup", "nodaemon", "pidfile"),
        *("silent", "strip_ansi", "umask", "user"),
    }
)

#: Keys by kind of section.
KEYS: dict[str, frozenset[str]] = {
    "supervisord": _SUPERVISORD,
    "supervisorctl": frozenset({"serverurl", "prompt", "history_file"}) | _LOGIN,
    "unix_http_server": frozenset({"file", "chmod", "chown"}) | _LOGIN,
    "inet_http_server": frozenset({"port"}) | _LOGIN,
    "include": frozenset({"files"}),
    "group": frozenset({"programs", "priority"}),
    "program": _PROGRAM,
    "fcgi-program": _PROGRAM | {"socket", "socket_backlog", "socket_mode", "socket_owner"},
    "eventlistener": _PROGRAM | {"buffer_size", "events", "result_handler"},
}

#: Sections with keys of their own making; ``DEFAULT`` is configparser's.
OPEN = frozenset({"ctlplugin", "rpcinterface", "DEFAULT"})

#: Kinds of sections that make processes.
RUNNABLE = ("program", "fcgi-program", "eventlistener")
