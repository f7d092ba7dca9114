"""A store in one SQLite file, for the processes of one host.

Write-ahead logging lets readers go on while one process writes; writers wait
for each other. What `save` has returned from outlives every process; a record
of the last moment may be lost when the power goes (synchronous=NORMAL).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ResultStoreUnavailable
from gearfleet.results.record import Sealed, TaskRecord, seal
from gearfleet.results.retention import Retention
from gearfleet.results.store import unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from gearfleet.results.store import Part

#: Of the tables below; a file of a newer gearfleet is refused.
SCHEMA = 1

#: Seconds that a writer waits for the others.
BUSY_TIMEOUT = 10.0

#: `group` is a word of SQL's.
_COLUMNS = tuple("group_id" if field == "group" else field for field in Sealed._fields)
_LIST = ", ".join(_COLUMNS)
_MARKS = ", ".join("?" * len(_COLUMNS))
_OF_KIND = {"": "", "group": "group_id", "name": "name", "function": "function"}

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

#: Connections of a parent, in its forked child. To close one there would take
#: the parent's locks away (sqlite.org/howtocorrupt.html, 2.6).
_inherited: list[Any] = []


class _Opened:
    """A connection, and the process and lock that it belongs to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.pid = os.getpid()


class SQLiteStore:
    """Keeps records in the file `path`, which is made when it is first used."""

    def __init__(
        self,
        path: Path,
        retention: Retention | None = None,
        *,
        clock: Callable[[], float] = time.time,
        busy_timeout: float = BUSY_TIMEOUT,
    ) -> None:
        """Keep as many as `retention` says."""
        self.path = path
        self.retention = retention or Retention()
        self._clock = clock
        self._busy_timeout = busy_timeout
        self._opened: _Opened | None = None
        self._lock = threading.RLock()
        self._lock_pid = os.getpid()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    def save(self, records: Iterable[TaskRecord | Sealed]) -> None:
        """Keep `records`, all or none; see `ResultStore.save`."""
        saved = [each if isinstance(each, Sealed) else seal(each) for each in records]
        if not saved:
            return
        saved = self.retention.newest(saved)  # a burst is longer than what is kept of it
        with self._writing() as connection:
            connection.executemany(
                f"INSERT OR REPLACE INTO records ({_LIST}) SELECT {_MARKS} WHERE NOT EXISTS"
                " (SELECT 1 FROM records WHERE id = ? AND attempt > ?)",
                [(*each, each.id, each.attempt) for each in saved],
            )
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

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._locked():
            opened, self._opened = self._opened, None
            if opened is None:
                return
            if opened.pid != os.getpid():
                _inherited.append(opened)
                return
            opened.connection.close()

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

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the file for writing, alone; what is done is done together or not at all."""
        with self._reading() as connection:
            # Takes the lock at once: one that is taken later cannot be waited for.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._locked():
            try:
                yield self._connection()
            except (sqlite3.Error, OSError) as error:
                self._let_go()
                raise ResultStoreUnavailable(
                    f"The result store {self.path} cannot be used: {error}"
                ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._lock_pid != os.getpid():  # another thread may have held it at the fork
            self._lock, self._lock_pid = threading.RLock(), os.getpid()
        with self._lock:
            yield

    def _let_go(self) -> None:
        """Close a connection that failed, so that a file that is made anew is found."""
        try:
            self.close()
        except sqlite3.Error:
            self._opened = None

    def _connection(self) -> sqlite3.Connection:
        if self._opened is not None and self._opened.pid != os.getpid():
            _inherited.append(self._opened)
            self._opened = None
        if self._opened is None:
            self._opened = _Opened(self._open())
        return self._opened.connection

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            _retry(lambda: connection.execute("PRAGMA journal_mode = WAL"), self._busy_timeout)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            self._make_tables(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise ResultStoreUnavailable(
                f"The result store {self.path} was made by a newer gearfleet (its schema is "
                f"{version}, this one knows {SCHEMA}); update gearfleet or name another file"
            )
        if version == 0:
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)


def _retry(action: Callable[[], object], seconds: float) -> None:
    """Try again while others hold the file: to turn WAL on is not covered by the busy time-out."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            action()
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
