"""Files with variables, such as ``.env``: read by each process at its start, never rendered.

A rendered configuration may be read by everybody on the host, and a secret in
it would stay there. So a program is told the names of the files only, in
``GEARFLEET_ENV_FILES``. A variable that the process has already stands above
the files, save one that an earlier reading gave to its parent: the process
that a pool starts for new code sees what the files say now.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

#: The files, separated by colons; a later one stands above an earlier one.
VARIABLE = "GEARFLEET_ENV_FILES"
#: The names of what was read from them.
READ = "GEARFLEET_ENV_READ"

_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_ASSIGNMENT = re.compile(
    r"""[ \t]* (?:export[ \t]+)? (?P<name>[A-Za-z_][A-Za-z0-9_]*) [ \t]*=[ \t]*
    (?: '(?P<single>[^']*)' | "(?P<double>(?:[^"\\]|\\.)*)" | (?P<bare>(?:((?<==)\#|[^\s'"\#])[^\n]*?)?) )
    [ \t]* (?:(?<=\s)\#[^\n]*)? (?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def read_env_files(environ: MutableMapping[str, str]) -> None:
    """Add the variables of the files that `environ` names to it.

    Raises:
        ConfigError: a file cannot be read, or has a line that is none; no value is shown.
    """
    paths = [Path(path) for path in environ.get(VARIABLE, "").split(os.pathsep) if path]
    if not paths:
        return
    found = {name: value for path in paths for name, value in _variables(path)}
    before = set(environ.get(READ, "").split(","))
    for name in before - found.keys():
        environ.pop(name, None)
    new = {name: found[name] for name in found if name in before or name not in environ}
    environ.update(new)
    environ[READ] = ",".join(new)


def _variables(path: Path) -> Iterator[tuple[str, str]]:
    text = _text(path)
    at = 0
    while at < len(text):
        if blank := _BLANK.match(text, at):
            at = blank.end()
            continue
        found = _ASSIGNMENT.match(text, at)
        if found is None or "\0" in found[0]:
            line = text.count("\n", 0, at) + 1
            raise ConfigError(f"{path}, line {line}: write NAME=value, with both quotes or none")
        yield found["name"], _value(found)
        at = found.end()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"Cannot read {path}, which {VARIABLE} (the setting 'env_files') names: "
            f"{error.strerror}"
        ) from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8; write it so") from None


def _value(found: re.Match[str]) -> str:
    if found["double"] is not None:
        return re.sub(
            r"\\(.)",
            lambda match: _ESCAPES.get(match[1], match[1]),
            found["double"],
            flags=re.DOTALL,
        )
    return found["single"] if found["single"] is not None else found["bare"]
