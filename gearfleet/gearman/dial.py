"""Connect to a job server, with TLS if its address says so, without ever blocking.

The worker serves several job servers from one thread, so neither a name server
that does not answer nor a host that drops packets may hold it up. A name is
looked up in a short-lived thread; numeric addresses need none. What the name
means is asked anew at every attempt, because a failed-over job server keeps
its name and changes its address.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING, Protocol

from gearfleet import errors
from gearfleet.gearman import tls

if TYPE_CHECKING:
    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.handshake import Handshake

#: SYN packets that a full listen backlog drops are resent after 1 and 3 s.
CONNECT_TIMEOUT = 5.0

# A peer that vanished without a word is noticed after 30 + 3 * 10 seconds
# (gearman/gearmand#343: NAT boxes forget idle connections). Buffer sizes stay
# the kernel's: setting them would switch its auto-tuning off.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}

_UNDER_WAY = frozenset({errno.EINPROGRESS, errno.EALREADY})
_Target = tuple[socket.AddressFamily, tuple[object, ...]]


class Stream(Protocol):
    """A connected, non-blocking socket: a plain one or a `TLSSocket`."""

    def fileno(self) -> int: ...
    def recv(self, limit: int, /) -> bytes: ...
    def send(self, data: bytes | bytearray | memoryview, flags: int = 0, /) -> int: ...
    def shutdown(self, how: int, /) -> None: ...
    def close(self) -> None: ...


def configure(sock: socket.socket) -> None:
    """Set what every connection to a job server needs: no Nagle delay, keepalive."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # macOS and the BSDs have some of them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Dial:
    """One attempt to connect to an address.

    Wait until `fileno()` is ready for `events` or until `deadline`, then call
    `advance()`; again, until it returns the socket or raises. It lasts for
    `timeout` seconds, or until `until` where some of them have passed already;
    an error tells the `timeout`, which is what somebody has set.
    """

    def __init__(
        self, address: Address, *, timeout: float = CONNECT_TIMEOUT, until: float | None = None
    ) -> None:
        self.address = address
        self._until = time.monotonic() + timeout if until is None else until
        self.deadline = self._until
        self._socket: socket.socket | None = None
        self._target: tuple[object, ...] = ()
        self._targets: list[_Target] = []
        self._timeout = timeout
        self._failure = f"no answer within {timeout:.3g} s"
        self._kind: type[errors.ConnectionError] = errors.ConnectionError
        self._handshake: Handshake | None = None
        self._lookup: _Lookup | None = None
        try:
            self._targets = _look_up(address, socket.AI_NUMERICHOST)
        except socket.gaierror:
            self._lookup = _Lookup(address)
        else:
            self._next_target()

    @property
    def events(self) -> int:
        """The `selectors.EVENT_*` to wait for."""
        if self._handshake is not None:
            return self._handshake.events
        return selectors.EVENT_READ if self._lookup else selectors.EVENT_WRITE

    def fileno(self) -> int:
        """Return the descriptor to wait on; another one after each `advance`."""
        waiting = self._lookup.waiting if self._lookup else self._handshake or self._socket
        return waiting.fileno() if waiting is not None else -1

    def advance(self) -> Stream | None:
        """Return the connected, non-blocking socket, or None if there is more to wait for.

        Raises:
            errors.ConnectionError: the name is unknown, or no address of it
                takes the connection in time.
            errors.TLSError: one of them did, but not the TLS handshake.
        """
        if self._lookup is not None and not self._is_looked_up(self._lookup):
            return None
        while self._socket is not None:
            try:
                stream = self._try_target(self._socket)
            except errors.TLSError as error:
                self._failed(str(error), errors.TLSError)
            except OSError as error:
                self._failed(error.strerror or str(error), errors.ConnectionError)
            else:
                if stream is not None:
                    self._socket = self._handshake = None
                    return stream
                if time.monotonic() < self.deadline:
                    return None
                if self._handshake is not None:
                    self._failed(tls.SILENT.format(self._timeout), errors.TLSError)
            self._next_target()
        self.close()
        raise self._kind(f"Cannot connect to job server {self.address}: {self._failure}")

    def close(self) -> None:
        """Give up."""
        if self._lookup is not None:
            self._lookup.waiting.close()
            self._lookup = None
        if self._handshake is not None:
            self._handshake.close()
            self._handshake = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _try_target(self, sock: socket.socket) -> Stream | None:
        if self._handshake is None:
            code = sock.connect_ex(self._target)
            if code in _UNDER_WAY:
                return None
            if code not in {0, errno.EISCONN} or _is_connected_to_itself(sock):
                code = code or errno.ECONNREFUSED
                raise OSError(code, os.strerror(code))
            if self.address.tls is None:
                return sock
            from gearfleet.gearman.handshake import Handshake

            self._handshake = Handshake(sock, self.address, self.address.tls)
        return self._handshake.advance()

    def _failed(self, reason: str, kind: type[errors.ConnectionError]) -> None:
        # Of several addresses of a name, the one that answered tells most.
        if self._kind is not errors.TLSError:
            self._failure, self._kind = reason, kind

    def _is_looked_up(self, lookup: _Lookup) -> bool:
        if not lookup.is_finished and time.monotonic() < self._until:
            return False
        if lookup.is_finished:
            self._targets = lookup.targets
            self._failure = lookup.failure or self._failure
        lookup.waiting.close()
        self._lookup = None
        self._next_target()
        return True

    def _next_target(self) -> None:
        """Begin to connect to the next address of the name, with its share of the time."""
        self.close()
        now = time.monotonic()
        if not self._targets or now >= self._until:
            return
        self.deadline = now + (self._until - now) / len(self._targets)
        family, target = self._targets.pop(0)
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        configure(self._socket)
        self._target = target


def connect(address: Address, *, timeout: float = CONNECT_TIMEOUT) -> Stream:
    """Return a connected, non-blocking socket; wait for it at most `timeout` seconds."""
    dial = Dial(address, timeout=timeout)
    try:
        while (sock := dial.advance()) is None:
            poller = selectors.PollSelector()
            poller.register(dial, dial.events)
            poller.select(max(0.0, dial.deadline - time.monotonic()))
        return sock
    finally:
        dial.close()


def _is_connected_to_itself(sock: socket.socket) -> bool:
    # TCP lets a socket that dials a free local port of the ephemeral range be
    # given that very port, and then it talks to itself. An endless reconnect
    # loop gets there.
    return bool(sock.getsockname() == sock.getpeername())


def _look_up(address: Address, flags: int = 0) -> list[_Target]:
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=flags
    )
    return [(family, target) for family, _, _, _, target in found]


class _Lookup:
    """A name being looked up; `waiting` becomes readable when that has ended."""

    def __init__(self, address: Address) -> None:
        self.targets: list[_Target] = []
        self.failure = ""
        self.is_finished = False
        self.waiting, self._done = socket.socketpair()
        threading.Thread(
            target=self._run, args=(address,), name=f"look up {address.host}", daemon=True
        ).start()

    def _run(self, address: Address) -> None:
        try:
            self.targets = _look_up(address)
        except (OSError, UnicodeError) as error:
            self.failure = f"cannot look up '{address.host}': {error}"
        self.is_finished = True
        self._done.close()
