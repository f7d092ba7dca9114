"""The admin text protocol without I/O: replies as frozen values.

Replies are read leniently. Client ids may hold spaces, " : " and even line
ends, and function names of other people's workers tabs, so a line that cannot
be read is left out and never breaks the rest (reference "gearmand", section 4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Descriptor, address, id, functions; the last " :" ends the id, which may hold others.
_CONNECTION = re.compile(r"(\d+) (\S+) (.*) :(?: (.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionStatus:
    """One line of `status`."""

    function: str
    #: Waiting and running; also delayed jobs that are not due, and abandoned ones.
    total: int
    running: int
    #: Registrations, which for most workers means workers.
    workers: int

    @property
    def waiting(self) -> int:
        """Jobs that no worker has; not all of them need be ready to run."""
        return max(0, self.total - self.running)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """One line of `workers`: a connection, of a worker if it has functions."""

    file_descriptor: int
    ip: str
    #: "-" if the connection has none.
    client_id: str
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The answer to `version`; distributions add suffixes, so numbers are for comparing."""

    text: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """The first dotted number.

        Example:
            >>> Version(text="1.1.20+ds").numbers
            (1, 1, 20)
        """
        found = re.search(r"\d+(?:\.\d+)*", self.text)
        return tuple(int(part) for part in found[0].split(".")) if found else ()

    def __str__(self) -> str:
        return self.text


def parse_status(lines: Iterable[bytes]) -> tuple[FunctionStatus, ...]:
    """Return the lines of `status`, sorted by function; gearmand's order is that of its hashes."""
    rows = []
    for line in lines:
        # From the right, because only the name can hold a tab.
        function, *numbers = _text(line).rsplit("\t", 3)
        if len(numbers) == 3 and all(number.isdecimal() for number in numbers):
            total, running, workers = map(int, numbers)
            rows.append(
                FunctionStatus(function=function, total=total, running=running, workers=workers)
            )
    return tuple(sorted(rows, key=lambda row: row.function))


def parse_workers(lines: Iterable[bytes]) -> tuple[WorkerStatus, ...]:
    """Return the connections that `workers` lists, clients and the asker among them."""
    rows = []
    for line in lines:
        found = _CONNECTION.fullmatch(_text(line).rstrip())
        if found:
            number, ip, client_id, functions = found.groups()
            rows.append(
                WorkerStatus(
                    file_descriptor=int(number),
                    ip=ip,
                    client_id=client_id,
                    functions=tuple((functions or "").split()),
                )
            )
    return tuple(rows)


def parse_version(line: bytes) -> Version:
    """Return the version of ``OK 1.1.20+ds``; Gearman servers of old leave the OK out."""
    return Version(text=parse_ok(line))


def parse_ok(line: bytes) -> str:
    """Return what stands after ``OK``.

    Raises:
        ServerError: the line begins with ``ERR``.
    """
    text = _text(line).strip()
    if text.startswith("ERR"):
        _, _, rest = text.partition(" ")
        code, _, explanation = rest.partition(" ")
        raise ServerError(code or "ERR", explanation.replace("+", " "))
    return text.removeprefix("OK").strip()


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")
