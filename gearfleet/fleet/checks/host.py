"""What a fleet needs from the host it runs on: programs, directories, accounts.

Rules ask through `Host`, so that tests can be any host they like.
"""

from __future__ import annotations

import os
import platform
import pwd
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gearfleet.config.env_files import VARIABLE as ENV_FILES
from gearfleet.fleet.findings import Finding, finding
from gearfleet.fleet.quoting import LOG_WORDS, expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gearfleet.fleet.checks.ini import Section
    from gearfleet.fleet.model import Fleet, Program

LOG_FILES = ("stdout_logfile", "stderr_logfile")

#: Where supervisord looks without a PATH (its `get_path`).
_PATH = "/bin:/usr/bin:/usr/local/bin"


class Host(Protocol):
    """What rules ask a host."""

    def has_user(self, name: str) -> bool:
        """Tell whether there is an account of this name or number."""

    def is_directory(self, path: str) -> bool:
        """Tell whether there is a directory."""

    def is_file(self, path: str) -> bool:
        """Tell whether there is a file."""

    def program_problem(self, word: str) -> str:
        """Return why the first word of a command cannot be run; empty when it can."""


@dataclass(frozen=True)
class ThisHost:
    """The host that we are on, seen with `path`; each question is asked once."""

    path: str = field(default_factory=lambda: os.environ.get("PATH") or _PATH)

    def has_user(self, name: str) -> bool:
        return uid_of(name) is not None

    def is_directory(self, path: str) -> bool:
        return _is_directory(path)

    def is_file(self, path: str) -> bool:
        return os.path.isfile(path)  # noqa: PTH113 - as below

    def program_problem(self, word: str) -> str:
        return _program_problem(word, self.path)


@cache
def uid_of(user: str) -> int | None:
    """Return the number of an account given by name or number; None where there is none."""
    try:
        return pwd.getpwuid(int(user)).pw_uid if user.isdecimal() else pwd.getpwnam(user).pw_uid
    except (KeyError, OverflowError):
        return None


def _is_directory(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises in a folder that is closed


def _program_problem(word: str, path: str) -> str:
    if "/" in word:
        return _file_problem(word)
    for folder in path.split(os.pathsep):
        candidate = str(Path(folder) / word)
        if os.path.exists(candidate):  # noqa: PTH110 - as above
            return _file_problem(candidate)
    return f"is in no directory of PATH ({path})"


def _file_problem(file: str) -> str:
    if not os.path.exists(file):  # noqa: PTH110
        return "does not exist"
    if _is_directory(file):
        return "is a directory"
    return "" if os.access(file, os.X_OK) else "is not executable"


def expansions(group: str, program: Program) -> Iterator[dict[str, str | int]]:
    """Yield what Supervisor's expansions mean for each process of `program`."""
    node = platform.node()
    for number in range(program.processes):
        yield {
            "program_name": program.name,
            "group_name": group,
            "host_node_name": node,
            "process_num": number,
        }


def review_host(fleet: Fleet, host: Host) -> Iterator[Finding]:
    """Yield what `fleet` needs and `host` does not have."""
    yield from review_users(fleet, host)
    yield from review_log_directories(fleet, host)
    for program in fleet.programs:
        yield from _binary(program, host)
        yield from _directory(program, host)
        yield from _env_files(program, host)


_CREATE = "Create it, or render on the host where the workers run"


def review_users(fleet: Fleet, host: Host) -> Iterator[Finding]:
    """Yield the accounts that `host` does not have."""
    for program in fleet.programs:
        user = program.options.get("user")
        if user is not None and not host.has_user(str(user)):
            message = f"is '{user}', and this host has no such user"
            yield _missing(program, "GF303", "user", message, _CREATE)


def review_log_directories(fleet: Fleet, host: Host) -> Iterator[Finding]:
    """Yield the directories of log files that `host` does not have."""
    homes = {name: group.name for group in fleet.groups for name in group.programs}
    for program in fleet.programs:
        for option in LOG_FILES:
            value = str(program.options.get(option, "none"))
            if value.lower() in LOG_WORDS:
                continue
            for folder in sorted(_folders(value, homes.get(program.name, program.name), program)):
                if not host.is_directory(folder):
                    message = f"is '{value}', and this host has no directory {folder}"
                    yield _missing(program, "GF304", option, message, _CREATE)


def _folders(value: str, group: str, program: Program) -> set[str]:
    if "%(" not in value.rpartition("/")[0]:
        return {value.rpartition("/")[0] or "/"}
    return {str(Path(expand(value, names)).parent) for names in expansions(group, program)}


def _binary(program: Program, host: Host) -> Iterator[Finding]:
    for word in _programs_of(program.command):
        if problem := host.program_problem(word):
            option = "executable" if word == program.command[0] else "command"
            fix = "Install it, or correct the setting; render where the workers run"
            yield _missing(program, "GF301", option, f"is '{word}', which {problem}", fix)


def _programs_of(command: tuple[str, ...]) -> Iterator[str]:
    """Yield what a command runs: itself, and what ``gearfleet exec --`` runs in its place."""
    yield command[0]
    if "exec" in command[:4] and "--" in command[:5]:
        yield from command[command.index("--") + 1 :][:1]


def _env_files(program: Program, host: Host) -> Iterator[Finding]:
    for path in program.environment.get(ENV_FILES, "").split(os.pathsep):
        if path and not host.is_file(path):
            yield _missing(program, "GF305", "env_files", f"names {path}, which does not exist")


def _directory(program: Program, host: Host) -> Iterator[Finding]:
    folder = str(program.options.get("directory") or "")
    if folder and not host.is_directory(folder):
        yield _missing(program, "GF302", "directory", f"is '{folder}', which is no directory here")


def review_sections(sections: Iterable[Section], host: Host) -> Iterator[Finding]:
    """Yield accounts and log directories that sections of a file need and `host` lacks."""
    for section in sections:
        user = section.value("user")
        if user and "%" not in user and not host.has_user(user):
            message = f"'user' of [{section.name}] is '{user}', and this host has no such user"
            yield finding("GF303", message, place=section.at("user"))
        for option in LOG_FILES:
            yield from _log_directory(section, option, host)


def _log_directory(section: Section, option: str, host: Host) -> Iterator[Finding]:
    value = section.value(option)
    if not value.startswith("/") or "%" in value.rpartition("/")[0]:
        return  # relative ones and expansions are left to Supervisor's parser
    folder = value.rpartition("/")[0] or "/"
    if not host.is_directory(folder):
        message = f"'{option}' of [{section.name}] is '{value}', and there is no such directory"
        yield finding("GF304", message, place=section.at(option))


def _missing(program: Program, code: str, option: str, message: str, fix: str = "") -> Finding:
    setting = program.sources.get(option, "")
    return finding(code, f"{program.place(option)} {message}", fix, setting=setting)
