"""`Desk`: one thread in which all work with the database is done.

Django gives each thread a connection of its own. So the store's takes part in no
transaction of a task or a view, which may yet be rolled back; it may be used where an
event loop runs, in which Django refuses; and it belongs to one process.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import InterfaceError, OperationalError, connections

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

#: Threads of a parent, in its forked child: to drop one would drop the connection
#: that it holds, which is the parent's.
_inherited: list[Any] = []


class Desk:
    """Does what it is given with the database `alias`, one thing after the other."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._thread: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def do(self, action: Callable[[], T]) -> T:
        """Return what `action` returns; it is called once more if the database had gone away."""
        return self._executor().submit(self._do, action).result()

    def close(self) -> None:
        """Close the connection and end the thread; the next use makes others."""
        if self._pid != os.getpid():
            return
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.submit(self._hang_up).result()
            thread.shutdown()

    def _executor(self) -> ThreadPoolExecutor:
        if self._pid != os.getpid():  # another thread may have held the lock at the fork
            _inherited.append(self._thread)
            self._thread, self._lock, self._pid = None, threading.Lock(), os.getpid()
        with self._lock:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="gearfleet-database")
            return self._thread

    def _hang_up(self) -> None:
        connections[self.alias].close()

    def _do(self, action: Callable[[], T]) -> T:
        connection = connections[self.alias]
        # As Django does around a request: CONN_MAX_AGE and CONN_HEALTH_CHECKS count here too.
        connection.close_if_unusable_or_obsolete()
        was_open = connection.connection is not None
        try:
            if not connection.get_autocommit():  # as DATABASES may have it
                connection.set_autocommit(True)
            return action()
        except (InterfaceError, OperationalError):
            # The server may have ended a connection that it was left with.
            connection.close()
            if not was_open:
                raise
            return action()
        finally:
            connection.close_if_unusable_or_obsolete()
