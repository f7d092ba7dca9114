"""The embedded job server on asyncio: sockets and time for the queues.

Replies are gathered while a chunk of received bytes is worked through and each
connection gets its own in one write, so that a pipelining peer costs one system
call for many packets.

What a peer does not read is kept for it up to `Limits.unread_bytes`; then its
connection is closed, and if it is a worker its jobs go to another. Reading from
the producer is not paused: a stopped client would bring the worker, and all the
others that the worker serves, to a halt. gearmand keeps any amount.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from gearfleet.errors import GearmanError, ProtocolError, UnknownCommandError
from gearfleet.gearman.protocol import Command, PacketReader, encode
from gearfleet.gearman.server.admin import reply_to
from gearfleet.gearman.server.commands import answer
from gearfleet.gearman.server.jobs import Peer
from gearfleet.gearman.server.queues import JobQueues

logger = logging.getLogger(__name__)

#: Called with host and port when connections are accepted.
Ready: TypeAlias = Callable[[str, int], None]

#: gearmand's 32 makes a burst of reconnecting workers wait for whole seconds.
BACKLOG = 1024
#: A batch of replies is sent when it is this large, even if more requests wait: one chunk of
#: short text commands could ask for gigabytes.
BATCH_BYTES = 256 * 1024
#: How long unsent replies may hold up a shutdown.
CLOSING_SECONDS = 0.2
#: The clock of the epoch may be set while we sleep, so it is looked at this often.
MAX_NAP_SECONDS = 10.0

_STILL_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much memory one connection may take."""

    #: A packet waits in memory until it is whole. gearmand takes up to 4 GiB.
    packet_bytes: int = 128 * 1024 * 1024
    #: Two of the largest packets, so that a client that reads slowly, but reads, is
    #: not cut off while the first is on its way.
    unread_bytes: int = 256 * 1024 * 1024


DEFAULT_LIMITS = Limits()


class Connection(asyncio.Protocol):
    """One accepted connection: bytes in, packets to the queues, packets out in batches."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._reader = PacketReader(requests=True, max_body_bytes=service.limits.packet_bytes)
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._transport: asyncio.Transport
        self._peer: Peer

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=self._service.limits.unread_bytes)
        sock: socket.socket = transport.get_extra_info("socket")
        # A peer that is gone already has no name.
        name = transport.get_extra_info("peername") or ("-",)
        self._peer = Peer(self.send, fd=sock.fileno(), host=str(name[0]))
        self._service.opened(self, self._peer)
        _notice_dead_peers(sock)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            self._take_requests()
        except ProtocolError as error:
            self._give_up(error)
        self._service.flush()

    def pause_writing(self) -> None:
        logger.warning(
            "Closing %s: it does not read what it is sent",
            self._peer.host,
            extra={"action": "peer_does_not_read"},
        )
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.lost(self, self._peer)

    # Requests

    def _take_requests(self) -> None:
        while (first := self._reader.peek()) is not None and not self._transport.is_closing():
            if not (self._take_packet() if first == 0 else self._take_line(first)):
                return

    def _take_packet(self) -> bool:
        packet = self._reader.next_packet()
        if packet is None:
            return False
        answer(self._service.queues, self._peer, packet)
        return True

    def _take_line(self, first: int) -> bool:
        if first < 32 and first not in b"\t\r\n":
            # A TLS hello, for one; no text command will ever come of it.
            raise ProtocolError(f"Neither a packet nor a text command begins with byte {first}")
        line = self._reader.next_line()
        if line is None:
            return False
        self.write(reply_to(self._service.queues, line))
        return True

    def _give_up(self, error: ProtocolError) -> None:
        logger.warning(
            "Closing %s: %s", self._peer.host, error, extra={"action": "peer_speaks_nonsense"}
        )
        unknown = isinstance(error, UnknownCommandError)
        self.send(
            Command.ERROR, b"INVALID_COMMAND" if unknown else b"INVALID_PACKET", str(error).encode()
        )
        self.flush()
        self._transport.close()

    # Replies

    def send(self, command: Command, /, *args: bytes) -> None:
        """Send one packet, with the next flush of the service."""
        self.write(encode(command, *args, response=True))

    def write(self, data: bytes) -> None:
        """Send bytes, with the next flush of the service."""
        if not self._outgoing:
            self._service.unflushed.append(self)
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)
        if self._outgoing_bytes > BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the transport."""
        data, self._outgoing, self._outgoing_bytes = b"".join(self._outgoing), [], 0
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close when everything is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()


def _notice_dead_peers(sock: socket.socket) -> None:
    """Give the jobs of a worker whose machine is gone to another within a minute (F15).

    TCP_NODELAY is not set here, because asyncio sets it on every connection.
    """
    with suppress(OSError):  # the peer may be gone already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _STILL_ALIVE.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Service:
    """The queues with everything that is connected to them."""

    def __init__(
        self,
        *,
        host: str,
        limits: Limits = DEFAULT_LIMITS,
        job_retries: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        self.queues = JobQueues(host=host, clock=clock, job_retries=job_retries)
        #: Connections that have packets to send.
        self.unflushed: list[Connection] = []
        self._clock = clock
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        #: Set when there is no job any more; made only once somebody waits for that.
        self._jobless: asyncio.Event | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_due: float | None = None

    def opened(self, connection: Connection, peer: Peer) -> None:
        """Take a new connection in."""
        self._connections.add(connection)
        self.queues.connect(peer)

    def lost(self, connection: Connection, peer: Peer) -> None:
        """Let a closed connection go."""
        self._connections.discard(connection)
        self.queues.disconnect(peer)
        self.flush()
        if not self._connections:
            self._empty.set()

    def flush(self) -> None:
        """Send what was gathered for each connection, and set the alarm for what comes next."""
        while self.unflushed:
            waiting, self.unflushed = self.unflushed, []
            for connection in waiting:
                connection.flush()
        if self.queues.next_due != self._alarm_due:
            self._set_alarm()
        if self._jobless is not None and not self.queues.jobs:
            self._jobless.set()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_due = self.queues.next_due
        if self._alarm_due is not None:
            nap = min(max(0.0, self._alarm_due - self._clock()), MAX_NAP_SECONDS)
            self._alarm = asyncio.get_running_loop().call_later(nap, self._ring)

    def _ring(self) -> None:
        self.queues.run_due()
        self._alarm_due = None
        self.flush()

    async def until_jobless(self) -> None:
        """Return when every job is done, also those that are queued or not yet due."""
        self._jobless = asyncio.Event()
        self.flush()
        await self._jobless.wait()

    async def close(self) -> None:
        """Close every connection, the stubborn ones with force."""
        for connection in list(self._connections):
            connection.close()
        if self._connections:
            self._empty.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), CLOSING_SECONDS)
        for connection in list(self._connections):
            connection.abort()
        if self._alarm is not None:
            self._alarm.cancel()


async def serve(
    host: str,
    port: int,
    *,
    ready: Ready | None = None,
    limits: Limits = DEFAULT_LIMITS,
    job_retries: int = 0,
    draining: asyncio.Event | None = None,
) -> None:
    """Serve until cancelled, then close every connection.

    Args:
        host: an address or a name; a name that has several addresses is served on all.
        port: 0 for any free one.
        ready: called once with the real host and port when connections are accepted.
        limits: how much memory a connection may take.
        job_retries: how many workers may be lost with a job until it fails; 0 is no limit.
        draining: once it is set, no connection is accepted, and when every job is done,
            this returns. Jobs are accepted until then on the connections that there are.

    Raises:
        GearmanError: it is not possible to listen there.
    """
    service = Service(host=socket.gethostname(), limits=limits, job_retries=job_retries)
    listener = await _listen(service, host, port)
    address = listener.sockets[0].getsockname()[:2]
    logger.info("Listening on %s:%d", *address, extra={"action": "server_started"})
    try:
        if ready is not None:
            ready(*address)
        await (draining or asyncio.Event()).wait()
        listener.close()
        logger.info(
            "Draining: no new connections, %d jobs to be done",
            len(service.queues.jobs),
            extra={"action": "server_draining"},
        )
        await service.until_jobless()
    finally:
        listener.close()
        await service.close()
        logger.info("Stopped", extra={"action": "server_stopped"})


async def _listen(service: Service, host: str, port: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(lambda: Connection(service), host, port, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise GearmanError(
            f"Cannot listen on {host}:{port}: {error}. Is a job server running there already?"
        ) from error


def run(host: str, port: int, *, ready: Ready | None = None, job_retries: int = 0) -> None:
    """Serve until SIGTERM or SIGINT, or SIGUSR1 and the end of every job.

    Arguments and errors are those of `serve`.
    """
    asyncio.run(_serve_until_signalled(host, port, ready, job_retries))


async def _serve_until_signalled(
    host: str, port: int, ready: Ready | None, job_retries: int
) -> None:
    loop = asyncio.get_running_loop()
    draining = asyncio.Event()
    serving = loop.create_task(
        serve(host, port, ready=ready, job_retries=job_retries, draining=draining)
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    loop.add_signal_handler(signal.SIGUSR1, draining.set)
    with suppress(asyncio.CancelledError):
        await serving
