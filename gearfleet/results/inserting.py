"""`Inserting`: many rows into a table of SQLite with few statements.

Python's sqlite3 lets go of the interpreter at each statement, and may wait 5 ms until the
thread that runs tasks gives it back: `executemany` of 1,600 rows took 1.2 s beside a busy
thread. A statement of many rows is also cheaper, once SQLite has read it; so their numbers of
rows are powers of two, of which there are few, and which the connection remembers.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from sqlite3 import SQLITE_LIMIT_VARIABLE_NUMBER
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from sqlite3 import Connection

#: Rows of one statement; twice as many are no faster.
MOST = 256


class Inserting:
    """Writes rows of `columns` values to `target`: the table, and in brackets its columns."""

    def __init__(self, target: str, columns: int) -> None:
        """Write nothing yet."""
        self._columns = columns
        marks = f"({', '.join('?' * columns)})"
        self._statement = cache(
            lambda count: f"INSERT INTO {target} VALUES {', '.join([marks] * count)}"
        )

    def write(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> None:
        """Write `rows`, in order; whoever wants all or none has begun a transaction."""
        for chunk in chunks(rows, max(1, min(MOST, _values(connection) // self._columns))):
            connection.execute(self._statement(len(chunk)), [*chain.from_iterable(chunk)])


def _values(connection: Connection) -> int:
    """Return how many values a statement may have; an old SQLite takes 999."""
    # Django has backends for SQLite whose connections are not those of the standard library.
    limit = getattr(connection, "getlimit", None)
    return int(limit(SQLITE_LIMIT_VARIABLE_NUMBER)) if limit else 999


def chunks(rows: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """Yield `rows` in parts whose numbers of rows are powers of two, and at most `most`."""
    begin = 0
    while left := len(rows) - begin:
        size = 1 << min(left, most).bit_length() - 1
        yield rows[begin : begin + size]
        begin += size
