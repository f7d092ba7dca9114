"""One SQLite file that the processes of a host share: connections, locks and transactions.

Write-ahead logging lets readers go on while one process writes; writers wait
for each other.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gearfleet.errors import GearfleetError

#: Seconds that a writer waits for the others.
BUSY_TIMEOUT = 10.0

#: Connections of a parent, in its forked child. To close one there would take
#: the parent's locks away (sqlite.org/howtocorrupt.html, 2.6).
_inherited: list[Any] = []


class _Opened:
    """A connection, and the process and lock that it belongs to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.pid = os.getpid()


class SQLiteFile:
    """The base of a store in the file `path`, which is made when it is first used.

    Attributes:
        schema: of `tables`; a file of a newer gearfleet is refused.
        tables: the statements that make an empty file a store.
        noun: what messages call it.
        unavailable: what is raised when the file cannot be used.
        synchronous: SQLite's word for what a loss of power may take away.
    """

    schema: ClassVar[int]
    tables: ClassVar[str]
    noun: ClassVar[str]
    unavailable: ClassVar[type[GearfleetError]]
    synchronous: ClassVar[str] = "NORMAL"

    def __init__(self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        """Open nothing yet."""
        self.path = path
        self._busy_timeout = busy_timeout
        self._opened: _Opened | None = None
        self._lock = threading.RLock()
        self._lock_pid = os.getpid()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

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
                raise self.unavailable(
                    f"The {self.noun} {self.path} cannot be used: {error}"
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
            connection.execute(f"PRAGMA synchronous = {self.synchronous}")
            connection.execute("BEGIN IMMEDIATE")
            self._make_tables(connection)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > self.schema:
            raise self.unavailable(
                f"The {self.noun} {self.path} was made by a newer gearfleet (its schema is "
                f"{version}, this one knows {self.schema}); update gearfleet or name another file"
            )
        if version == 0:
            for statement in filter(str.strip, self.tables.split(";")):
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
