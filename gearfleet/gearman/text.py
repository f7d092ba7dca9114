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
from gearfleet.gearman.jobs import to_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: gearmand's counters have 32 bits, and not every digit of Unicode is one here.
_NUMBER = re.compile(r"[0-9]{1,20}")
#: Descriptor, address, id, functions; the last " :" ends the id, which may hold others.
_CONNECTION = re.compile(r"([0-9]{1,20}) (\S+) (.*) :(?: (.*))?", re.DOTALL)

#: Instead of a table, for commands that the job server does not have.
_REFUSAL = re.compile(rb"ERR (?:UNKNOWN|INVALID)_[A-Z_]+(?: |$)")


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
class PriorityStatus:
    """One line of `prioritystatus`: jobs that wait, also those that are not due or abandoned."""

    function: str
    high: int
    normal: int
    low: int
    workers: int

    @property
    def waiting(self) -> int:
        """Jobs of all priorities that no worker has."""
        return self.high + self.normal + self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """One line of `show jobs`."""

    handle: str
    #: How often a worker was lost with it.
    retries: int
    #: Abandoned by its clients, or cancelled. gearmand keeps such a job until a worker
    #: asks for it, and loses what is submitted with its unique until then (F1, F3).
    ignored: bool
    background: bool


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
    rows = [
        FunctionStatus(function=function, total=total, running=running, workers=workers)
        for function, (total, running, workers) in _numbered(lines, 3)
    ]
    return tuple(sorted(rows, key=lambda row: row.function))


def parse_priorities(lines: Iterable[bytes]) -> tuple[PriorityStatus, ...]:
    """Return the lines of `prioritystatus`, sorted by function."""
    rows = [
        PriorityStatus(function=function, high=high, normal=normal, low=low, workers=workers)
        for function, (high, normal, low, workers) in _numbered(lines, 4)
    ]
    return tuple(sorted(rows, key=lambda row: row.function))


def parse_jobs(lines: Iterable[bytes]) -> tuple[KnownJob, ...]:
    """Return the lines of `show jobs`, in the job server's order."""
    return tuple(
        KnownJob(handle=handle, retries=retries, ignored=ignored > 0, background=background > 0)
        for handle, (retries, ignored, background) in _numbered(lines, 3)
    )


def parse_uniques(lines: Iterable[bytes]) -> tuple[str, ...]:
    """Return the lines of `show unique jobs`; an empty one is a job without a unique."""
    return tuple(_text(line) for line in lines)


def _numbered(lines: Iterable[bytes], count: int) -> Iterator[tuple[str, list[int]]]:
    """Yield the name and the `count` numbers of each line that has them."""
    for line in lines:
        # From the right, because only the name can hold a tab.
        name, *numbers = _text(line).rsplit("\t", count)
        if len(numbers) == count and all(_NUMBER.fullmatch(number) for number in numbers):
            yield name, [int(number) for number in numbers]


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


def refusal(line: bytes) -> ServerError | None:
    """Return what the job server says instead of a table, None if the line belongs to one."""
    if not _REFUSAL.match(line):
        return None
    try:
        parse_ok(line)
    except ServerError as error:
        return error
    return None


def parse_version(line: bytes) -> Version:
    """Return the version of ``OK 1.1.20+ds``; Gearman servers of old leave the OK out."""
    return Version(text=parse_ok(line))


def parse_ok(line: bytes) -> str:
    """Return what stands after ``OK``.

    Raises:
        ServerError: the line begins with ``ERR``.
    """
    text = to_message(line).strip()
    if text.startswith("ERR"):
        _, _, rest = text.partition(" ")
        code, _, explanation = rest.partition(" ")
        raise ServerError(code or "ERR", explanation.replace("+", " "))
    return text.removeprefix("OK").strip()


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")
