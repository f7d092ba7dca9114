"""`Desk`: one thread in which all work with the database is done.

Django gives each thread a connection of its own. So the store's takes part in no
transaction of a task or a view, which may yet be rolled back; it may be used where an
event loop runs, in which Django refuses; and it belongs to one process.

The thread ends, and its connection with it, when it has had nothing to do for a while:
a web server that looks results up now and then holds none. To open one for each batch,
as CONN_MAX_AGE = 0 has it for requests, would take longer than to write a failure.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import InterfaceError, OperationalError, connections

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

#: Seconds after which a connection that nobody uses is closed.
IDLE = 5.0

#: Seconds that the end of the process waits for a connection to be closed.
PATIENCE = 2.0


class Desk:
    """Does what it is given with the database `alias`, one thing after the other."""

    _thread: threading.Thread | None

    def __init__(self, alias: str, *, idle: float = IDLE) -> None:
        self.alias = alias
        self._idle = idle
        self._begin()
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(self.close)

    def do(self, action: Callable[[], T]) -> T:
        """Return what `action` returns; it is called once more if the database had gone away."""
        future: Future[T] = Future()
        with self._lock:
            self._given.put((future, action))
            if self._thread is None:
                self._thread = self._start()
        return future.result()

    def close(self) -> None:
        """Close the connection and end the thread; the next use makes others."""
        thread = self._thread
        if thread is not None:
            self._given.put(None)
            thread.join(PATIENCE)

    def _begin(self) -> None:
        # In a forked child the connection stays behind with the parent's thread, and another
        # thread may have held the lock. Drivers close no connection of another process.
        self._lock = threading.Lock()
        self._given: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = None

    def _start(self) -> threading.Thread:
        sys.stderr = getattr(sys, "stderr", None)  # Thread wants one, and a task may delete it
        thread = threading.Thread(target=self._run, name="gearfleet-database", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while not self._is_over():
            pass
        connections.close_all()  # those of this thread

    def _is_over(self) -> bool:
        """Do the next thing; return whether to end, because there is none or it is the end."""
        try:
            given = self._given.get(timeout=self._idle)
        except Empty:
            given = None
        if given is None:
            with self._lock:
                if self._given.empty():
                    self._thread = None
                    return True
            return False
        future, action = given
        try:
            future.set_result(self._do(action))
        except BaseException as error:
            future.set_exception(error)
        return False

    def _do(self, action: Callable[[], T]) -> T:
        connection = connections[self.alias]
        connection.close_if_unusable_or_obsolete()
        was_open = connection.connection is not None
        try:
            if not connection.get_autocommit():  # as DATABASES may have it
                connection.set_autocommit(True)
            if not connection.settings_dict["CONN_MAX_AGE"]:
                connection.close_at = None  # but when it is idle
            return action()
        except (InterfaceError, OperationalError):
            # The server may have ended a connection that it was left with.
            connection.close()
            if not was_open:
                raise
            return action()
