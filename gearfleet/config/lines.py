"""In which line of a settings file a key stands."""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[\s*(?P<path>[^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"\s*(?P<path>[\w\"'.-]+)\s*=")


def line_of(text: str, key: str) -> int:
    r"""Return the line of the TOML file `text` in which `key` is set, or else its table begins.

    It is 0 where neither is found: tables may be written in ways that only a
    whole parser understands, and that one does not tell lines.

    Example:
        >>> line_of('[queues.bar]\nprocesses = 3\n', "queues.bar.processes")
        2
    """
    table, nearest = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _normal(header["path"]).removeprefix("tool.gearfleet").lstrip(".") + "."
            if key.startswith(table):
                nearest = number
        elif found := _KEY.match(line):
            path = table.lstrip(".") + _normal(found["path"])
            if path == key:
                return number
            if key.startswith(f"{path}."):
                nearest = number
    return nearest


def _normal(path: str) -> str:
    return re.sub(r"\s*\.\s*", ".", path)
