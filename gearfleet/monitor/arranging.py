"""In which order rows are shown, and which: by a column, with a text in their names. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gearfleet.monitor.view import ProcessRow, ProgramRow, QueueRow, ServerRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gearfleet.monitor.view import View

    Row = ServerRow | QueueRow | ProgramRow | ProcessRow
    Key = Callable[[Any], float]

BY_NAME = "name"

#: What rows are sorted by, besides their names: the highest first. A table that does
#: not have it stays as it is.
KEYS: Mapping[str, Mapping[type, Key]] = {
    "waiting": {QueueRow: lambda row: row.waiting, ServerRow: lambda row: row.waiting},
    "running": {
        QueueRow: lambda row: row.running,
        ServerRow: lambda row: row.running,
        ProgramRow: lambda row: row.busy,
        ProcessRow: lambda row: len(row.tasks),
    },
    "rate": {ProgramRow: lambda row: row.rate, ProcessRow: lambda row: row.rate},
    "time": {ProcessRow: lambda row: row.seconds},
    "failed": {ProgramRow: lambda row: row.failed, ProcessRow: lambda row: row.failed},
    "memory": {ProgramRow: lambda row: row.rss_bytes, ProcessRow: lambda row: row.rss_bytes},
}
SORTS = (BY_NAME, *KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """What the one who looks has chosen.

    Attributes:
        sort: one of `SORTS`.
        is_reversed: whether the last stands first.
        text: that a name has to hold, in any case; empty for every row.
    """

    sort: str = BY_NAME
    is_reversed: bool = False
    text: str = ""

    def next_sort(self) -> Arrangement:
        """Return the same, sorted by what comes next."""
        return replace(self, sort=SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)])


def arranged(view: View, arrangement: Arrangement) -> View:
    """Return `view` with its rows chosen and in order; job servers are all shown."""
    return replace(
        view,
        servers=_sorted(view.servers, arrangement),
        queues=_sorted(_chosen(view.queues, arrangement), arrangement),
        programs=_sorted(_chosen(view.programs, arrangement), arrangement),
        processes=_sorted(_chosen(view.processes, arrangement), arrangement),
    )


def _chosen(rows: Sequence[Row], arrangement: Arrangement) -> Sequence[Row]:
    text = arrangement.text.casefold()
    return [row for row in rows if any(text in name.casefold() for name in _names(row))]


def _names(row: Row) -> tuple[str, ...]:
    match row:
        case QueueRow():
            return row.queue, row.function
        case ProgramRow():
            return (row.program,)
        case ProcessRow():
            return row.program, row.process, row.state, *row.tasks
        case ServerRow():
            return (row.address,)


def _sorted(rows: Sequence[Any], arrangement: Arrangement) -> tuple[Any, ...]:
    """Return `rows` by the chosen column; equal ones stay in the order of their names."""
    keys = KEYS.get(arrangement.sort, {})
    key = keys.get(type(rows[0])) if rows else None
    if key is not None:
        return tuple(sorted(rows, key=key if arrangement.is_reversed else lambda row: -key(row)))
    is_turned = arrangement.is_reversed and arrangement.sort == BY_NAME
    return tuple(reversed(rows)) if is_turned else tuple(rows)
