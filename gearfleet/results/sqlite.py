"""A store in one SQLite file, for the processes of one host.

Write-ahead logging lets readers go on while one process writes; writers wait
for each other. What `save` has returned from outlives every process; a record
of the last moment may be lost when the power goes (synchronous=NORMAL).
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ResultStoreUnavailable
from gearfleet.results.inserting import Inserting
from gearfleet.results.record import Sealed, TaskRecord, seal
from gearfleet.results.retention import Retention
from gearfleet.results.store import unseal
from gearfleet.results.tally import Kept, Tally
from gearfleet.sqlitefile import BUSY_TIMEOUT, SQLiteFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from gearfleet.results.store import Part

#: Of the tables below; a file of a newer gearfleet is refused.
SCHEMA = 1

#: `group` is a word of SQL's.
_COLUMNS = tuple("group_id" if field == "group" else field for field in Sealed._fields)
_LIST = ", ".join(_COLUMNS)
_MARKS = ", ".join("?" * len(_COLUMNS))
_inserting = Inserting(f"records ({_LIST})", len(_COLUMNS))
_OF_KIND = {"": "", "group": "group_id", "name": "name", "function": "function"}

_TALLY = """
SELECT task, state, count(*), sum(iif(started > 0, stopped - started, 0.0)),
  sum(enqueued_at > 0 AND started > 0),
  sum(iif(enqueued_at > 0 AND started > 0, started - enqueued_at, 0.0))
FROM records WHERE stopped >= ? AND (keep_until = 0 OR keep_until > ?)
GROUP BY task, state ORDER BY task, state
"""

_TABLES = f"""
CREATE TABLE records (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
  {", ".join(f"{column} NOT NULL" for column in _COLUMNS[1:])});
CREATE INDEX records_name ON records (name);
CREATE INDEX records_group ON records (group_id) WHERE group_id != '';
CREATE INDEX records_state ON records (state = 'success', seq) WHERE keep_until = 0;
CREATE INDEX records_until ON records (keep_until) WHERE keep_until > 0;
CREATE TABLE parts (whole TEXT NOT NULL, place INTEGER NOT NULL,
  {", ".join(f"{column} NOT NULL" for column in _COLUMNS)}, PRIMARY KEY (whole, place));
PRAGMA user_version = {SCHEMA};
"""


class SQLiteStore(SQLiteFile):
    """Keeps records in the file `path`, which is made when it is first used."""

    schema = SCHEMA
    tables = _TABLES
    noun = "result store"
    #: `save` drops at once what is too much of a batch, so that need not be made.
    keeps_newest = True
    unavailable = ResultStoreUnavailable

    def __init__(
        self,
        path: Path,
        retention: Retention | None = None,
        *,
        clock: Callable[[], float] = time.time,
        busy_timeout: float = BUSY_TIMEOUT,
    ) -> None:
        """Keep as many as `retention` says."""
        super().__init__(path, busy_timeout=busy_timeout)
        self.retention = retention or Retention()
        self._clock = clock

    def save(self, records: Iterable[TaskRecord | Sealed]) -> None:
        """Keep `records`, all or none; see `ResultStore.save`."""
        saved = [each if isinstance(each, Sealed) else seal(each) for each in records]
        if not saved:
            return
        saved = self.retention.newest(saved)  # a burst is longer than what is kept of it
        with self._writing() as connection:
            _insert(connection, saved)
            self._prune(connection, saved)

    def get(self, job: str) -> TaskRecord | None:
        """Return the record with this id, else the newest of this name."""
        found = self._select("id = ?", job) or self._select(
            "name = ? ORDER BY seq DESC LIMIT 1", job
        )
        return found[0] if found else None

    def group(self, group: str) -> list[TaskRecord]:
        """Return the records of a group, in the order in which the jobs began."""
        return self._select("group_id = ? AND group_id != '' ORDER BY started, seq", group)

    def count_group(self, group: str, *, failures: bool | None = None) -> int:
        """Count the records of a group."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT count(*) FROM records WHERE group_id = ? AND group_id != ''"
                " AND (? IS NULL OR (state != 'success') = ?)"
                " AND (keep_until = 0 OR keep_until > ?)",
                (group, failures, failures, self._clock()),
            ).fetchone()
        return int(row[0])

    def delete_group(self, group: str) -> int:
        """Delete the records of a group; return how many."""
        return self._change("DELETE FROM records WHERE group_id = ? AND group_id != ''", group)

    def ungroup(self, group: str) -> int:
        """Take the records of a group out of it; return how many."""
        return self._change(
            "UPDATE records SET group_id = '' WHERE group_id = ? AND group_id != ''", group
        )

    def delete(self, jobs: Iterable[str]) -> int:
        """Delete the records with these ids; return how many."""
        with self._writing() as connection:
            rows = [(job,) for job in jobs]
            return connection.executemany("DELETE FROM records WHERE id = ?", rows).rowcount

    def failures(self, *, limit: int = 100, task: str | None = None) -> list[TaskRecord]:
        """Return the newest records of jobs that failed or expired."""
        return self._select(
            "(state = 'success') = 0 AND state IN ('failure', 'expired') AND keep_until = 0"
            " AND (? IS NULL OR task = ?) ORDER BY seq DESC LIMIT ?",
            task,
            task,
            limit,
            with_clock=False,
        )

    def collect(self, part: Part) -> list[TaskRecord] | None:
        """Keep a part; return all of them in order when the last one has come."""
        with self._writing() as connection:
            if connection.execute("SELECT 1 FROM records WHERE id = ?", (part.whole,)).fetchone():
                return None  # one that ran again after the list was made
            connection.execute(
                f"INSERT OR REPLACE INTO parts (whole, place, {_LIST}) VALUES (?, ?, {_MARKS})",
                (part.whole, part.index, *part.sealed),
            )
            rows = connection.execute(
                f"SELECT {_LIST} FROM parts WHERE whole = ? ORDER BY place", (part.whole,)
            ).fetchall()
        return unseal([Sealed(*row) for row in rows]) if len(rows) == part.count else None

    def drop_parts(self, whole: str) -> None:
        """Drop the parts of a list that has been kept."""
        self._change("DELETE FROM parts WHERE whole = ?", whole)

    def tally(self, since: float) -> list[Tally]:
        """Count the records of jobs that ended at `since` or later, by task and state."""
        with self._reading() as connection:
            rows = connection.execute(_TALLY, (since, self._clock())).fetchall()
        return [Tally(*row) for row in rows]

    def kept(self) -> Kept:
        """Count the records that the limits apply to."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT state = 'success', count(*), min(stopped) FROM records"
                " WHERE keep_until = 0 GROUP BY 1"
            ).fetchall()
        found = {is_success: (count, first) for is_success, count, first in rows}
        return Kept(*found.get(1, (0, 0.0)), *found.get(0, (0, 0.0)))

    def _select(self, where: str, *values: Any, with_clock: bool = True) -> list[TaskRecord]:
        # A record that is kept for a time only is gone when it is over, deleted or not.
        alive = "(keep_until = 0 OR keep_until > ?) AND " if with_clock else ""
        clock = (self._clock(),) if with_clock else ()
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_LIST} FROM records WHERE {alive}{where}", (*clock, *values)
            ).fetchall()
        return unseal([Sealed(*row) for row in rows])

    def _change(self, statement: str, *values: Any) -> int:
        with self._writing() as connection:
            return connection.execute(statement, values).rowcount

    def _prune(self, connection: sqlite3.Connection, saved: list[Sealed]) -> None:
        column = _OF_KIND[self.retention.save_limit_per]
        limits = {
            self.retention.kind(each): limit
            for each in saved
            if (limit := self.retention.limit(each))
        }
        for (is_success, key), limit in limits.items():
            by_key = f" AND {column} = ?" if is_success and column else ""
            kind = f"(state = 'success') = ? AND keep_until = 0{by_key}"
            values = (is_success, key) if by_key else (is_success,)
            connection.execute(
                f"DELETE FROM records WHERE {kind} AND seq <= (SELECT seq FROM records"
                f" WHERE {kind} ORDER BY seq DESC LIMIT 1 OFFSET ?)",
                (*values, *values, limit),
            )
        connection.execute(
            "DELETE FROM records WHERE keep_until > 0 AND keep_until <= ?", (self._clock(),)
        )


def _insert(connection: sqlite3.Connection, saved: list[Sealed]) -> None:
    """Write records, each in the place of one of the same or an earlier attempt of its job."""
    try:  # nearly always none of these jobs has a record
        _inserting.write(connection, saved)
    except sqlite3.IntegrityError:
        connection.executemany(
            f"INSERT OR REPLACE INTO records ({_LIST}) SELECT {_MARKS} WHERE NOT EXISTS"
            " (SELECT 1 FROM records WHERE id = ? AND attempt > ?)",
            [(*each, each.id, each.attempt) for each in saved],
        )
