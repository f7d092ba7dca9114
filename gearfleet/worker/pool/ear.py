"""Hears the signals of a pool's parent, and turns them into numbers to read."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType


class Ear:
    """While it is entered, `signals` do nothing but make `socket` readable."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._signals = tuple(signals)

    def __enter__(self) -> Ear:
        self.socket, self._writer = socket.socketpair()
        self.socket.setblocking(False)
        self._writer.setblocking(False)
        self._previous_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._previous = {
            number: signal.signal(number, _note)
            for number in self._signals
            if not _is_hushed(number)
        }
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous or signal.SIG_DFL)
        signal.set_wakeup_fd(self._previous_fd)
        self.socket.close()
        self._writer.close()

    def heard(self) -> list[signal.Signals]:
        """Return the signals that came since the last call, in their order."""
        try:
            numbers = self.socket.recv(4096)
        except BlockingIOError:
            return []
        return [signal.Signals(number) for number in numbers]


def _is_hushed(number: signal.Signals) -> bool:
    """Return whether nohup said that SIGHUP changes nothing."""
    return number is signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN


def _note(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the byte on the socket says it."""
