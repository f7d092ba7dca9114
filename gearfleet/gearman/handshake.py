"""TLS over a connected socket: the handshake step by step, then a socket like any other.

Imported only where TLS is used.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from typing import TYPE_CHECKING

from gearfleet import errors
from gearfleet.gearman.tls import HUNG_UP_AFTER, explain

if TYPE_CHECKING:
    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.tls import TLS

#: The most that fits into one TLS record. A record arrives whole or not at all,
#: so that with one record for each write we know what the peer can have read.
_RECORD_BYTES = 16 * 1024
_WOULD_BLOCK = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Handshake:
    """One TLS handshake; call `advance` when `fileno()` is ready for `events`."""

    def __init__(self, sock: socket.socket, address: Address, tls: TLS) -> None:
        """Take over the connected, non-blocking `sock`.

        Raises:
            errors.TLSError: the TLS settings cannot be used.
        """
        self.events = selectors.EVENT_WRITE
        try:
            self._socket = tls.make_context().wrap_socket(
                sock,
                server_hostname=tls.server_hostname or address.host,
                do_handshake_on_connect=False,
            )
        except ssl.SSLError as error:
            raise errors.TLSError(explain(error)) from error
        except ValueError as error:
            raise errors.TLSError(str(error)) from error

    def fileno(self) -> int:
        return self._socket.fileno()

    def advance(self) -> TLSSocket | None:
        """Return the connection, or None if there is more to wait for.

        Raises:
            errors.TLSError: says why the two cannot speak TLS with each other.
        """
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self.events = selectors.EVENT_READ
            return None
        except ssl.SSLWantWriteError:
            self.events = selectors.EVENT_WRITE
            return None
        except (OSError, ValueError) as error:
            raise _failed(error) from error
        return TLSSocket(self._socket)

    def close(self) -> None:
        self._socket.close()


class TLSSocket:
    """A TLS connection with the manners of a non-blocking plain socket.

    `recv` leaves nothing that is decrypted behind, so that a selector's word on
    the descriptor can be relied on. Two threads may read and write at the same
    time; OpenSSL's connection would not survive that, so there is a lock.
    """

    def __init__(self, connected: ssl.SSLSocket) -> None:
        self._socket = connected
        self._lock = threading.Lock()
        self._is_over = False
        self._has_heard = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def recv(self, limit: int, /) -> bytes:
        """Return about `limit` bytes, b"" at the end.

        Raises:
            BlockingIOError: nothing is there.
            errors.TLSError: what came is no TLS, or an alert.
        """
        chunks: list[bytes] = []
        with self._lock:
            left = limit
            while left > 0 or self._socket.pending():
                try:
                    chunk = self._read(max(left, self._socket.pending()))
                except OSError:
                    if not chunks:
                        raise
                    break  # what came before counts; the next call says why no more does
                chunks.append(chunk)
                left -= len(chunk)
                if not chunk:
                    break
        return b"".join(chunks)

    def send(self, data: bytes | bytearray | memoryview, _flags: int = 0, /) -> int:
        """Write what there is room for, and return how much; call it again with the rest.

        Raises:
            BlockingIOError: there is no room.
            errors.TLSError: the connection is over.
        """
        sent = 0
        with self._lock, memoryview(data) as view:
            while sent < len(view):
                try:
                    sent += self._write(view, sent)
                except OSError:
                    if not sent:
                        raise
                    break  # what went out counts, as the peer may act on it
        return sent

    def shutdown(self, how: int, /) -> None:
        """Say goodbye if there is room for it, and end the connection."""
        with self._lock:
            self._is_over = True
            try:
                self._socket.unwrap()
            except (OSError, ValueError):
                pass
            # Not the SSLSocket's own: it would go on in plain text.
            socket.socket.shutdown(self._socket, how)

    def close(self) -> None:
        self._socket.close()

    def _read(self, limit: int) -> bytes:
        if self._is_over:
            return b""
        try:
            chunk = self._socket.recv(limit)
        except _WOULD_BLOCK as error:
            raise BlockingIOError from error
        except (ssl.SSLError, ValueError) as error:
            raise _failed(error) from error
        except ConnectionError as error:
            self._judge_loss(error)
            raise
        if not chunk and not self._has_heard:
            raise errors.TLSError(HUNG_UP_AFTER)
        self._has_heard = True
        return chunk

    def _write(self, view: memoryview, start: int) -> int:
        if self._is_over:
            raise errors.TLSError("the connection was closed here")
        with view[start : start + _RECORD_BYTES] as piece:
            try:
                return self._socket.send(piece)
            except _WOULD_BLOCK as error:
                raise BlockingIOError from error
            except (ssl.SSLError, ValueError) as error:
                raise _failed(error) from error
            except ConnectionError as error:
                self._judge_loss(error)
                raise

    def _judge_loss(self, error: ConnectionError) -> None:
        if not self._has_heard:
            raise errors.TLSError(HUNG_UP_AFTER) from error


def _failed(error: OSError | ValueError) -> errors.TLSError:
    return errors.TLSError(explain(error) if isinstance(error, OSError) else str(error))
