"""A configuration file as Supervisor's parser sees it, with the line of everything.

Supervisor keeps neither lines nor what it cuts off, and stops at the first
mistake. This reader follows the same rules (Python's RawConfigParser with the
inline comments ``;`` and ``#``), but goes on and remembers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMENT = re.compile(r"(?:^|(?<=\s))[;#]")
_SECTION = re.compile(r"\[(?P<header>.+)\]")
_OPTION = re.compile(r"(?P<option>.*?)\s*[=:]\s*(?P<value>.*)$")


@dataclass(slots=True)
class Entry:
    """One option: its value, where it stands, and the comment that its first line ends with."""

    key: str
    value: str
    line: int
    comment: str = ""


@dataclass(slots=True)
class Section:
    """One ``[section]`` as it stands in one file; another file may have the same once more."""

    name: str
    file: str
    line: int
    entries: list[Entry] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What stands before the colon: ``program``."""
        return self.name.partition(":")[0]

    @property
    def title(self) -> str:
        """What stands after the colon: the name of the program."""
        return self.name.partition(":")[2].strip()

    def find(self, key: str) -> Entry | None:
        """Return the entry of `key` that counts, which is the last one."""
        return next((each for each in reversed(self.entries) if each.key == key), None)

    def value(self, key: str) -> str:
        """Return the value of `key`, or an empty text."""
        entry = self.find(key)
        return entry.value if entry else ""

    @property
    def place(self) -> tuple[str, int]:
        return self.file, self.line

    def at(self, key: str) -> tuple[str, int]:
        """Return where `key` stands, or where the section begins."""
        entry = self.find(key)
        return self.file, entry.line if entry else self.line


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """One file.

    Attributes:
        file: its path, as messages show it.
        text: its content.
        sections: in their order.
        broken: line and reason of what no parser takes.
        unread: why it could not be read; then it counts as empty, for Supervisor too.
    """

    file: str
    text: str
    sections: tuple[Section, ...] = ()
    broken: tuple[tuple[int, str], ...] = ()
    unread: str = ""


def read(text: str, file: str) -> ConfigFile:
    """Return what stands in `text`, which is that of `file`."""
    reader = _Reader(file)
    for number, line in enumerate(text.split("\n"), start=1):
        reader.take(number, line)
    return ConfigFile(
        file=file, text=text, sections=tuple(reader.sections), broken=tuple(reader.broken)
    )


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.sections: list[Section] = []
        self.broken: list[tuple[int, str]] = []
        self._entry: Entry | None = None
        self._indent = 0

    def take(self, number: int, line: str) -> None:
        kept, comment = _split(line)
        if not kept:
            return
        indent = len(line) - len(line.lstrip())
        if self._entry is not None and indent > self._indent:
            self._entry.value += f"\n{kept}"
            return
        self._indent = indent
        if header := _SECTION.match(kept):
            self._begin(header["header"], number)
        elif not self.sections:
            self.broken.append((number, "a line before the first section"))
        else:
            self._add(number, kept, comment)

    def _begin(self, name: str, number: int) -> None:
        self.sections.append(Section(name, self.file, number))
        self._entry = None

    def _add(self, number: int, kept: str, comment: str) -> None:
        option = _OPTION.match(kept)
        if not option or not option["option"].strip():
            self.broken.append((number, f"'{kept}' is no KEY=VALUE"))
            return
        self._entry = Entry(option["option"].strip().lower(), option["value"], number, comment)
        self.sections[-1].entries.append(self._entry)


def _split(line: str) -> tuple[str, str]:
    """Return what counts of a line, and its comment."""
    found = _COMMENT.search(line)
    if found is None:
        return line.strip(), ""
    return line[: found.start()].strip(), line[found.start() :].strip()


def entries_of(sections: list[Section]) -> Iterator[tuple[Section, Entry]]:
    """Yield each entry with its section."""
    for section in sections:
        for entry in section.entries:
            yield section, entry
