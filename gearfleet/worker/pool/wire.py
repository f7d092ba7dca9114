"""What the processes of a pool tell each other: a word and some numbers, one packet each.

    parent to nursery     fork SLOT QUIET       whether the worker takes no jobs at first
    nursery to parent     imported
                          unborn SLOT ERRNO     it could not be forked
    worker to parent      born SLOT PID
                          up PID                it takes signals
                          serving PID           a job server knows its functions

All processes of one nursery share one end of a pair of sockets. Sockets for
packets, because several of them write at the same time.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX = 256


class Message(NamedTuple):
    """One packet."""

    word: str
    numbers: tuple[int, ...]


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the parent's end and that of a nursery and its workers."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def tell(end: socket.socket, word: str, *numbers: int) -> None:
    """Send a message.

    Raises:
        OSError: nobody is there any more.
    """
    end.send(
        " ".join([word, *(str(int(number)) for number in numbers)]).encode(), socket.MSG_NOSIGNAL
    )


def listen(end: socket.socket) -> list[Message]:
    """Wait for messages; return all that have come, none when nobody is there any more."""
    if (first := _read(end, 0)) is None:
        return []
    found = [first]
    with suppress(EOFError):  # the next call hears of it again
        found.extend(heard(end))
    return found


def heard(end: socket.socket) -> Iterator[Message]:
    """Yield the messages that have come.

    Raises:
        EOFError: nobody is there any more.
    """
    while True:
        try:
            message = _read(end, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if message is None:
            raise EOFError
        yield message


def _read(end: socket.socket, flags: int) -> Message | None:
    try:
        words = end.recv(_MAX, flags).decode().split()
    except ConnectionError:
        return None
    return Message(words[0], tuple(map(int, words[1:]))) if words else None
