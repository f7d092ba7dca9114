"""The tables of ``gearfleet top`` as lines of text that fit a width. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gearfleet.cli.ps import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gearfleet.monitor.view import ProcessRow, ServerRow, View

#: Characters below which no column is cut, and those between two columns.
_LEAST, _GAP = 8, 2


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the screen; `style` is one of title, head, bad or nothing."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, what a cell says, and whether that is a number."""

    title: str
    cell: Callable[[Any], str]
    is_number: bool = False


def _rate(per_second: float) -> str:
    """Return a rate with as many digits as help.

    Example:
        >>> [_rate(each) for each in (0, 0.004, 3.14, 1234.5)]
        ['-', '0.00/s', '3.14/s', '1234/s']
    """
    if not per_second:
        return "-"
    return f"{per_second:.0f}/s" if per_second >= 100 else f"{per_second:.2f}/s"


def _memory(rss_bytes: int) -> str:
    return f"{rss_bytes / 1e6:.0f} MB" if rss_bytes else ""


def _server_state(row: ServerRow) -> str:
    return "up" if row.is_up else "down"


def _task(row: ProcessRow) -> str:
    more = f" (+{len(row.tasks) - 1})" if len(row.tasks) > 1 else ""
    return f"{row.tasks[0]}{more}" if row.tasks else ""


def _state(row: ProcessRow) -> str:
    """Return what a worker does; and supervisord's word, where that is not what one expects."""
    is_plain = row.supervised in ("", "RUNNING") or row.state == row.supervised
    return row.state if is_plain else f"{row.state} ({row.supervised})"


def _count(name: str) -> Callable[[Any], str]:
    return lambda row: str(getattr(row, name))


def _count_if_up(name: str) -> Callable[[Any], str]:
    return lambda row: str(getattr(row, name)) if row.is_up else "?"


SERVERS = (
    Column("job server", lambda row: row.address),
    Column("state", _server_state),
    Column("version", lambda row: row.version),
    Column("workers", _count_if_up("workers"), is_number=True),
    Column("waiting", _count_if_up("waiting"), is_number=True),
    Column("running", _count_if_up("running"), is_number=True),
)
QUEUES = (
    Column("queue", lambda row: row.queue or "-"),
    Column("function", lambda row: row.function),
    Column("waiting", _count("waiting"), is_number=True),
    Column("delayed", _count("delayed"), is_number=True),
    Column("running", _count("running"), is_number=True),
    Column("workers", _count("workers"), is_number=True),
)
PROGRAMS = (
    Column("program", lambda row: row.program),
    Column("up", lambda row: f"{row.up}/{row.processes}", is_number=True),
    Column("busy", _count("busy"), is_number=True),
    Column("rate", lambda row: _rate(row.rate), is_number=True),
    Column("done", _count("done"), is_number=True),
    Column("failed", _count("failed"), is_number=True),
    Column("memory", lambda row: _memory(row.rss_bytes), is_number=True),
)
PROCESSES = (
    Column("process", lambda row: row.process),
    Column("pid", lambda row: str(row.pid or ""), is_number=True),
    Column("state", _state),
    Column("task", _task),
    Column("for", lambda row: duration(row.seconds) if row.tasks else "", is_number=True),
    Column("rate", lambda row: _rate(row.rate), is_number=True),
    Column("done", _count("done"), is_number=True),
    Column("failed", _count("failed"), is_number=True),
    Column("memory", lambda row: _memory(row.rss_bytes), is_number=True),
)

#: The tables by their names, in the order of the screen.
TABLES: Mapping[str, Sequence[Column]] = {
    "servers": SERVERS,
    "queues": QUEUES,
    "programs": PROGRAMS,
    "processes": PROCESSES,
}

#: States that somebody has to look into.
_BAD = ("FATAL", "BACKOFF", "EXITED", "UNKNOWN")


def table(name: str, view: View, width: int) -> list[Line]:
    """Return one of `TABLES`: the line of its titles, and a line for each row of `view`."""
    columns, rows = TABLES[name], getattr(view, name)
    cells = [[plain(column.cell(row)) for column in columns] for row in rows]
    widths = _widths(columns, cells, width)
    head = _joined([column.title for column in columns], widths, columns)
    return [
        Line(clip(head, width), "head"),
        *(
            Line(clip(_joined(line, widths, columns), width), _style(row))
            for line, row in zip(cells, rows, strict=True)
        ),
    ]


def _style(row: Any) -> str:
    is_bad = not getattr(row, "is_up", True) or getattr(row, "supervised", "") in _BAD
    return "bad" if is_bad else ""


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return how wide each column is; what is too wide is taken from the widest text."""
    widths = [
        max([columns_of(column.title), *(columns_of(line[at]) for line in cells)])
        for at, column in enumerate(columns)
    ]
    texts = [at for at, column in enumerate(columns) if not column.is_number]
    while sum(widths) + _GAP * (len(widths) - 1) > width:
        widest = max(texts, key=lambda at: widths[at])
        if widths[widest] <= _LEAST:
            break
        widths[widest] -= 1
    return widths


def _joined(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    padded = []
    for cell, width, column in zip(cells, widths, columns, strict=True):
        shown = clip(cell, width)
        space = " " * (width - columns_of(shown))
        padded.append(space + shown if column.is_number else shown + space)
    return (" " * _GAP).join(padded).rstrip()


def plain(text: str) -> str:
    """Return `text` without what a terminal would obey: functions are named by anybody."""
    return "".join(char if char.isprintable() else "?" for char in text)


def clip(text: str, width: int) -> str:
    """Return as much of `text` as fits into `width` columns; a dot shows that something is cut.

    Example:
        >>> clip("worker_bar", 6)
        'worke.'
    """
    if columns_of(text) <= width:
        return text
    shown = ""
    for char in text:
        if columns_of(shown + char) > width - 1:
            break
        shown += char
    return (shown + ".")[:width]


def columns_of(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of_character, text))


def _columns_of_character(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
