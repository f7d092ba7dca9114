"""The signals of a process that is, or is about to be, a worker.

Before there is a ladder, `stoppable` lets those that stop end the process, and
keeps the others for later. While there is one, `Handlers` has them, and gets them
back from code of the user that took them. A forked child has those that were
there before.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading

# Without the look for an enum's member, which takes eight times as long after every job.
from _signal import getsignal  # type: ignore[import-not-found]
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: What else the ladder is told of: renew, quiet, resume, report.
OTHER_SIGNALS = (signal.SIGHUP, signal.SIGTSTP, signal.SIGCONT, signal.SIGUSR1)
INTERRUPT = signal.SIGURG

#: Signals that came before there was a ladder, in their order.
_heard_early: list[int] = []


class Handlers:
    """The signal handlers of the active ladder, and those that were there before."""

    active: Handlers | None = None

    def __init__(
        self, writer: socket.socket, interrupt: Callable[[int, FrameType | None], None]
    ) -> None:
        """Send each signal to `writer` as a byte; call `interrupt` for SIGURG."""
        self._writer = writer
        self._fd = writer.fileno()
        self._previous_fd = signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False)
        self._watched = _watched()
        self._ours = [_note] * len(self._watched)
        handlers: dict[signal.Signals, Any] = dict.fromkeys(self._watched, _note)
        handlers[INTERRUPT] = interrupt
        self._previous = {number: signal.signal(number, func) for number, func in handlers.items()}
        Handlers.active = self
        # Code that is imported may swallow every exception, also the one of `_stop`.
        if _heard_early:
            writer.send(bytes(_heard_early))
        _heard_early.clear()

    def restore(self) -> None:
        """Put the handlers back that were there before."""
        Handlers.active = None
        for number, previous in self._previous.items():
            signal.signal(number, previous or signal.SIG_DFL)
        signal.set_wakeup_fd(self._previous_fd)

    def are_ours(self) -> bool:
        """Return whether code of the user has left all signals to us."""
        return list(map(getsignal, self._watched)) == self._ours  # a third of the time of a loop

    def reclaim(self) -> None:
        """Take the signals back from code of the user that left them to others.

        An event loop that had SIGTERM leaves it to the system, which would end
        the worker in its next job.
        """
        for number in self._watched:
            if getsignal(number) is not _note:
                signal.signal(number, _note)
                logger.warning(
                    "A task changed the handler of %s, which the worker needs; put back",
                    signal.Signals(number).name,
                    extra={"action": "signal_reclaimed", "signal": number},
                )

    def hear(self, number: int) -> None:
        """Tell the ladder of a signal, if a library took the descriptor that would have."""
        if signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False) != self._fd:
            self._writer.send(bytes([number]))


def _watched() -> tuple[signal.Signals, ...]:
    """Return the signals to listen to: not SIGHUP, where nohup said that it changes nothing."""
    hushed = {signal.SIGHUP} if getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
    return tuple(number for number in (*STOP_SIGNALS, *OTHER_SIGNALS) if number not in hushed)


def _note(number: int, _frame: FrameType | None) -> None:
    """Take the signal: the byte on the socket has told the ladder."""
    if Handlers.active is not None:
        Handlers.active.hear(number)


class _Fork(threading.local):
    """Gives a forked child the handlers that were there before ours.

    A task that forks (multiprocessing does) must be able to end its child with
    SIGTERM; with our handlers the child would live on and drain its parent.
    The signals wait until the child is ready, or one that comes at once is lost.
    """

    mask: set[int] | None = None

    def before(self) -> None:
        if Handlers.active is not None:
            signals = (*STOP_SIGNALS, *OTHER_SIGNALS)
            self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)

    def in_parent(self) -> None:
        if self.mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
            self.mask = None

    def in_child(self) -> None:
        if Handlers.active is not None:
            Handlers.active.restore()
        self.in_parent()


_fork = _Fork()
os.register_at_fork(
    before=_fork.before, after_in_parent=_fork.in_parent, after_in_child=_fork.in_child
)


class _Stop(BaseException):
    """Told to stop before there was a job; no SystemExit, which an import may raise itself."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let TERM and INT end the process with exit code 0, until a `StopLadder` takes over.

    For the time in which worker modules are imported: there is nothing to drain yet.
    The ladder is told of the other signals when it comes; SIGUSR1 shows the stacks at once.
    """
    handlers: dict[signal.Signals, Any] = dict.fromkeys(_watched(), _remember)
    handlers |= {**dict.fromkeys(STOP_SIGNALS, _stop), signal.SIGUSR1: _show}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    except _Stop:
        raise SystemExit(0) from None
    finally:
        _heard_early.clear()
        for number, handler in previous.items():
            signal.signal(number, handler or signal.SIG_DFL)


def is_told_to_stop() -> bool:
    """Return whether a stop signal came that had no effect, because code that was imported swallowed it."""
    return any(number in STOP_SIGNALS for number in _heard_early)


def _stop(number: int, _frame: FrameType | None) -> None:
    _heard_early.append(number)
    raise _Stop


def _remember(number: int, _frame: FrameType | None) -> None:
    _heard_early.append(number)


def _show(_number: int, _frame: FrameType | None) -> None:
    logger.info("Starting: importing the worker module", extra={"action": "worker_state"})
    faulthandler.dump_traceback(file=2)
