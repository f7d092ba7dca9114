"""One connection to a job server for callers that wait, each for a limited time.

A blocking `recv` is the cheapest way to wait in Python: one system call, where
a timeout of the socket module's costs two. So the socket blocks, the kernel's
SO_RCVTIMEO ends every `recv` after `slice_` seconds, and only a caller with less
time than that pays for a `poll` first. Nothing uses `select`, which ends at
descriptor 1,023.

None of this holds for TLS, where what the kernel has is not yet what the caller
gets: its socket never blocks, and every wait is a `poll`.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import TYPE_CHECKING

from gearfleet import errors
from gearfleet.gearman.dial import CONNECT_TIMEOUT, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.dial import Stream

#: The C library makes an object of over 128 KiB with system calls, 20 microseconds of them.
_CHUNK_BYTES = 16 * 1024
#: Asked for once a chunk came full: a big payload is under way.
_BIG_CHUNK_BYTES = 1024 * 1024
#: How often a blocked writer looks whether it has to read as well.
_WRITE_SLICE = 0.05
#: As an int: the enum's operators cost as much as the system call.
_SEND_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


class Connection:
    """A connected socket with deadlines. Not safe between threads; `Channel` is."""

    __slots__ = (
        "_chunk_bytes", "_is_blocking", "_poller", "_recv", "_send", "_slice", "_socket",
        "address", "heard_at",
    )  # fmt: skip

    def __init__(self, address: Address, sock: Stream, *, slice_: float = 10.0) -> None:
        """Take over `sock`; `receive` returns at least every `slice_` seconds."""
        self.address = address
        self.heard_at = time.monotonic()
        self._socket = sock
        self._recv = sock.recv
        self._send = sock.send
        self._slice = slice_
        self._chunk_bytes = _CHUNK_BYTES
        self._poller = select.poll()
        self._poller.register(sock, select.POLLIN)
        self._is_blocking = isinstance(sock, socket.socket)
        if isinstance(sock, socket.socket):
            _let_recv_wait(sock, slice_)

    @classmethod
    def open(
        cls, address: Address, *, timeout: float = CONNECT_TIMEOUT, slice_: float = 10.0
    ) -> Connection:
        """Connect within `timeout` seconds, looking up the name included.

        Raises:
            errors.ConnectionError: with the address and the reason.
        """
        return cls(address, connect(address, timeout=timeout), slice_=slice_)

    def receive(self, timeout: float | None = None) -> bytes | None:
        """Return what came, or None if nothing did within `timeout` (and within the slice).

        Raises:
            errors.ConnectionError: the job server closed the connection, or it broke.
        """
        if (
            not self._is_blocking or (timeout is not None and timeout < self._slice)
        ) and not self._has_input_within(timeout):
            return None
        try:
            chunk = self._recv(self._chunk_bytes)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self._broken(error) from error
        if not chunk:
            raise errors.ConnectionError(f"Job server {self.address} closed the connection")
        self.heard_at = time.monotonic()
        self._chunk_bytes = _BIG_CHUNK_BYTES if len(chunk) >= _CHUNK_BYTES else _CHUNK_BYTES
        return chunk

    def _has_input_within(self, timeout: float | None) -> bool:
        seconds = self._slice if timeout is None else min(timeout, self._slice)
        return bool(self._poller.poll(seconds * 1000))

    def has_input(self) -> bool:
        """Return whether `receive` has something to say at once, be it the end."""
        return bool(self._poller.poll(0))

    def send(self, data: bytes | memoryview) -> int:
        """Write what the kernel takes of `data` at once; return how many bytes that is.

        Raises:
            Unwritten: the connection was broken before.
        """
        try:
            return self._send(data, _SEND_FLAGS)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Unwritten(str(self._broken(error))) from error

    def send_all(self, data: bytes, *, deadline: float | None = None, stall: float = 10.0) -> None:
        """Write all of `data`.

        Raises:
            Unwritten: the connection was broken before the first byte.
            errors.ConnectionError: it broke later, `deadline` passed, or not one
                byte went out for `stall` seconds.
        """
        sent = self.send(data)
        if sent < len(data):
            self.send_rest(data, sent, deadline, stall)

    def send_rest(
        self,
        data: bytes,
        sent: int,
        deadline: float | None,
        stall: float,
        received: Callable[[float], bool] | None = None,
    ) -> None:
        """Write what `send` left over of `data`; raises as `send_all` does.

        While the job server takes no more, `received(seconds)` is called to read: both
        sides would wait for ever if a job server that cannot get rid of its
        answers stopped reading. It returns False if somebody else is reading.
        """
        rest = memoryview(data)[sent:]
        stalled_at = time.monotonic() + stall
        while rest:
            until = stalled_at if deadline is None else min(deadline, stalled_at)
            self._await_room(until, received)
            try:
                sent = self.send(rest)
            except Unwritten as error:
                if len(rest) < len(data):
                    raise errors.ConnectionError(str(error)) from error.__cause__
                raise
            if sent:
                stalled_at = time.monotonic() + stall
                rest = rest[sent:]

    def _await_room(self, deadline: float, received: Callable[[float], bool] | None) -> None:
        if time.monotonic() >= deadline:
            raise errors.ConnectionError(f"Job server {self.address} took no more data in time")
        poller = select.poll()
        poller.register(self._socket, select.POLLOUT | (select.POLLIN if received else 0))
        ready = poller.poll(_WRITE_SLICE * 1000)
        if ready and ready[0][1] & select.POLLIN and received is not None and not received(0):
            # Somebody else reads; wait for room alone.
            poller.modify(self._socket, select.POLLOUT)
            poller.poll(_WRITE_SLICE * 1000)

    def shutdown(self) -> None:
        """End the connection both ways; a thread that waits in `receive` wakes up."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self) -> None:
        """Close the socket; nobody else may be using it."""
        self._socket.close()

    def _broken(self, error: OSError) -> errors.ConnectionError:
        if isinstance(error, errors.TLSError):
            return errors.TLSError(f"The connection to job server {self.address} broke: {error}")
        reason = error.strerror or str(error)
        return errors.ConnectionError(
            f"The connection to job server {self.address} broke: {reason}"
        )


def _let_recv_wait(sock: socket.socket, slice_: float) -> None:
    """Let `recv` block, but no longer than `slice_` seconds."""
    sock.setblocking(True)
    seconds = int(slice_)
    microseconds = max(1, int((slice_ - seconds) * 1e6))
    timeout = struct.pack("@ll", seconds, microseconds)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)


class Unwritten(errors.ConnectionError):
    """Nothing was written, so that another job server may be tried."""
