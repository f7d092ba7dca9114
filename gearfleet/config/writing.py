"""One value in a settings file is changed; every other byte stays, comments and layout too.

What comes out is read again: unless it means the same but for that value,
nothing is returned.
"""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from gearfleet.config.lines import line_of
from gearfleet.config.settings import toml_key

if TYPE_CHECKING:
    from collections.abc import Sequence

_VALUE = re.compile(r"(?P<key>[^=]*=\s*)(?P<value>[^#]*?)(?P<rest>\s*(?:#.*)?)")


def maybe_changed(text: str, path: Sequence[str], value: int, *, table: str = "") -> str | None:
    r"""Return the TOML file `text` with `value` at `path`; None where it is written too oddly.

    Args:
        text: of the file.
        path: names of the tables, and the key.
        value: to be set.
        table: in which all of it stands, such as ``tool.gearfleet``.

    Example:
        >>> key = ["queues", "bar", "processes"]
        >>> maybe_changed("[queues.bar]\nprocesses = 4  # for now\n", key, 8)
        '[queues.bar]\nprocesses = 8  # for now\n'
    """
    wanted = _data(tomllib.loads(text), [*filter(None, table.split(".")), *path], value)
    for changed in (_replaced(text, path, value), _added(text, path, value, table)):
        if changed is not None and _means(changed, wanted):
            return changed
    return None


def _data(data: dict[str, Any], path: Sequence[str], value: int) -> dict[str, Any]:
    wanted = deepcopy(data)
    at = wanted
    for name in path[:-1]:
        at = at.setdefault(name, {})
    at[path[-1]] = value
    return wanted


def _means(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _replaced(text: str, path: Sequence[str], value: int) -> str | None:
    """Return the text with another value where there is one, or a line after the table's header."""
    lines = text.splitlines(keepends=True)
    number = line_of(text, ".".join(path))
    if not number:
        return None
    line = lines[number - 1]
    body = line.rstrip("\r\n")
    end = line[len(body) :] or "\n"
    if match := _VALUE.fullmatch(body):
        lines[number - 1] = f"{match['key']}{value}{match['rest']}{line[len(body) :]}"
    else:
        lines[number - 1] = f"{body}{end}{path[-1]} = {value}{end}"
    return "".join(lines)


def _added(text: str, path: Sequence[str], value: int, table: str) -> str:
    end = "" if not text or text.endswith("\n") else "\n"
    header = ".".join([*filter(None, [table]), *map(toml_key, path[:-1])])
    return f"{text}{end}\n[{header}]\n{path[-1]} = {value}\n"
