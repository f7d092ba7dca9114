"""Connect to a job server from an event loop, with the same `Dial` as everything else.

`Dial` looks names up in a thread of its own, which neither holds up the event
loop nor its end, and sets the sockets' options. TLS is asyncio's.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from gearfleet import errors
from gearfleet.gearman.dial import Dial
from gearfleet.gearman.tls import SILENT, explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.tls import TLS

    P = TypeVar("P", bound=asyncio.Protocol)

#: How long a TLS peer may take to answer our goodbye.
GOODBYE_TIMEOUT = 1.0


async def connect(address: Address, factory: Callable[[], P], *, timeout: float, until: float) -> P:
    """Return the protocol that `factory` makes, connected before `until`.

    That is the end of the `timeout` that was set, and which an error tells.

    Raises:
        errors.ConnectionError: with the address and the reason.
        errors.TLSError: it is there, but no TLS connection is possible.
    """
    sock = await _dial(Dial(replace(address, tls=None), timeout=timeout, until=until))
    try:
        security = _security(address, address.tls, until) if address.tls else {}
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(factory, sock=sock, **security)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError | ValueError):
            raise _refused(address, error, timeout) from error
        raise
    return protocol


def _security(address: Address, tls: TLS, until: float) -> dict[str, Any]:
    return {
        "ssl": tls.make_context(),
        "server_hostname": tls.server_hostname or address.host,
        "ssl_handshake_timeout": max(0.001, until - time.monotonic()),
        "ssl_shutdown_timeout": GOODBYE_TIMEOUT,
    }


def _refused(address: Address, error: Exception, timeout: float) -> errors.ConnectionError:
    if isinstance(error, ConnectionAbortedError | TimeoutError):
        reason = SILENT.format(timeout)
    else:
        # Not an OSError: the TLS files, or a host name that no certificate can have.
        reason = explain(error) if isinstance(error, OSError) else str(error)
    kind = errors.TLSError if address.tls else errors.ConnectionError
    return kind(f"Cannot connect to job server {address}: {reason}")


async def _dial(dial: Dial) -> socket.socket:
    try:
        while (stream := dial.advance()) is None:
            await _until_ready(dial)
    finally:
        dial.close()
    assert isinstance(stream, socket.socket)
    return stream


async def _until_ready(dial: Dial) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    descriptor = dial.fileno()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    if dial.events == selectors.EVENT_READ:
        watch, unwatch = loop.add_reader, loop.remove_reader
    else:
        watch, unwatch = loop.add_writer, loop.remove_writer
    watch(descriptor, wake)
    timer = loop.call_later(max(0.0, dial.deadline - time.monotonic()), wake)
    try:
        await future
    finally:
        timer.cancel()
        unwatch(descriptor)
