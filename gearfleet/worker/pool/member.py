"""The nursery, and the workers that come out of it.

A nursery is a fork of its pool's parent, or the same command with the variable
`VARIABLE`, which names what it inherited. It goes the way of a single worker until the worker
module is imported; there `Nursery.raise_workers` keeps it, forking, and only its children
go on, as workers. Not an option of the command: a program that calls
gearfleet's `main` itself, with options of its own, would become a pool again.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING

from gearfleet.worker.pool import wire
from gearfleet.worker.pool.linux import end_with_parent
from gearfleet.worker.signals import STOP_SIGNALS, is_told_to_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gearfleet.worker.equipment import TaskWorker
    from gearfleet.worker.pool.wire import Message

logger = logging.getLogger(__name__)

#: The descriptors that a nursery inherits: its end of the pair, and the lifeline.
VARIABLE = "GEARFLEET_NURSERY"


class Member:
    """A worker of a pool, and what it tells the parent.

    Attributes:
        slot: its place in the pool.
        is_quiet: whether it takes no jobs at first.
        lifeline: what is at its end when the parent is gone.
    """

    def __init__(self, end: socket.socket, lifeline: int, slot: int, *, is_quiet: bool) -> None:
        self.slot = slot
        self.is_quiet = is_quiet
        self.lifeline = lifeline
        self._end = end

    def born(self) -> None:
        """Say who has the slot."""
        self._tell("born", self.slot, os.getpid())

    def begin(self, worker: TaskWorker) -> None:
        """Say that this process takes its signals, and later that a job server knows it."""
        worker.after_registration.append(lambda: self._tell("serving", os.getpid()))
        if self.is_quiet:
            worker.quiet()  # now; what the signal does may take a moment
            os.kill(os.getpid(), signal.SIGTSTP)
        self._tell("up", os.getpid())

    def _tell(self, word: str, *numbers: int) -> None:
        try:
            wire.tell(self._end, word, *numbers)
        except OSError:
            pass  # the lifeline says the same, and the stop ladder does something about it


class Nursery:
    """A process that has imported the worker module, and forks the workers."""

    def __init__(self, end: socket.socket, lifeline: int) -> None:
        self._end = end
        self._lifeline = lifeline

    def raise_workers(self) -> Member:
        """Fork a worker for each order of the parent; return in the workers only.

        Raises:
            SystemExit: in the nursery, when the parent is gone or does not need it any more.
        """
        if is_told_to_stop():
            raise _end_of_nursery()
        _warn_of_threads()
        self._say("imported")
        while orders := wire.listen(self._end):
            if order := self._fork(orders):
                slot, is_quiet = order.numbers
                member = Member(self._end, self._lifeline, slot, is_quiet=bool(is_quiet))
                member.born()
                return member
        raise _end_of_nursery()

    def _fork(self, orders: Sequence[Message]) -> Message | None:
        """Return its order in each new worker, and None here."""
        try:
            return _fork_orphans(orders, self._refuse)
        except OSError as error:
            for order in orders:
                self._refuse(order, error)
            return None

    def _refuse(self, order: Message, error: OSError) -> None:
        slot, _ = order.numbers
        self._say("unborn", slot, error.errno or 0)

    def _say(self, word: str, *numbers: int) -> None:
        try:
            wire.tell(self._end, word, *numbers)
        except OSError:
            raise _end_of_nursery() from None


def become_nursery(end: int, lifeline: int) -> None:
    """Let this process, which was forked for that, be a nursery that has inherited the descriptors.

    Raises:
        SystemExit: the pool is gone.
    """
    os.environ[VARIABLE] = f"{end},{lifeline}"
    nursery_of_this_process.cache_clear()  # it was none, before it was forked
    nursery_of_this_process()


@cache
def nursery_of_this_process() -> Nursery | None:
    """Return the nursery that a pool has started this process as; None if it is none.

    Call it before the code of the user can see the variable, which is taken
    away: no command that a task runs should believe itself to be a nursery.

    Raises:
        SystemExit: the pool is gone.
    """
    inherited = os.environ.pop(VARIABLE, "")
    if not inherited:
        return None
    end, lifeline = map(int, inherited.split(","))
    for descriptor in (end, lifeline):
        os.set_inheritable(descriptor, False)
    end_with_parent(signal.SIGTERM)
    if select.select([lifeline], [], [], 0)[0]:
        raise _end_of_nursery()  # it was gone before we could ask for that
    return Nursery(socket.socket(fileno=end), lifeline)


def _end_of_nursery() -> SystemExit:
    """Return what ends a nursery; the signal that says the same may be still to come."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    return SystemExit(0)


def _fork_orphans(
    orders: Sequence[Message], refuse: Callable[[Message, OSError], None]
) -> Message | None:
    """Return its order in each new process, whose parent then ends, and None here.

    One process between forks them all: to fork costs most of what it takes to raise a worker.

    Raises:
        OSError: there is no room for another process.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or each worker would say once more what the import has said
    # Until the first fork has been waited for, a stop signal would leave it behind.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        between = os.fork()
        if between == 0:
            return _fork_each(orders, refuse)
        _wait_for(between)
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _fork_each(orders: Sequence[Message], refuse: Callable[[Message, OSError], None]) -> Message:
    """Return its order in each new process; this one ends."""
    # Who ends before us has to wait for the pool's parent: it would else not hear of it.
    is_ignored = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    if is_ignored:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        for order in orders:
            try:
                if os.fork() == 0:
                    if is_ignored:
                        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                    return order
            except OSError as error:
                refuse(order, error)
    except SystemExit:  # the parent is gone, which the workers notice by themselves
        pass
    os._exit(0)


def _wait_for(child: int) -> None:
    try:
        os.waitpid(child, 0)
    except ChildProcessError:  # the user's code has the kernel reap for it
        pass


def _warn_of_threads() -> None:
    names = [thread.name for thread in threading.enumerate()]
    names.remove(threading.main_thread().name)
    if names:
        logger.warning(
            "Importing started threads, which the workers will not have: %s; "
            "start them in an on_start hook",
            ", ".join(names),
            extra={"action": "pool_threads", "threads": names},
        )
