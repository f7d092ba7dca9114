"""One job server of a worker: dial it, register, read, write, and come back for ever.

A link never blocks and knows nothing of the other links, so that a job server
that is dead, stopped or slow delays none of them.
"""

from __future__ import annotations

import logging
import selectors
import socket
from typing import TYPE_CHECKING, Protocol

from gearfleet import errors
from gearfleet.gearman.backoff import Backoff
from gearfleet.gearman.dial import CONNECT_TIMEOUT, Dial
from gearfleet.gearman.jobs import GearmanJob, to_bytes, to_message, to_text
from gearfleet.gearman.machine import GONE, LEAVING, NEVER, PROBING, Machine, Timing
from gearfleet.gearman.protocol import MAX_HANDLE_BYTES, Command, Packet, PacketReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.dial import Stream

logger = logging.getLogger(__name__)

#: The C library makes an object of over 128 KiB with system calls, 20 microseconds of them.
_CHUNK_BYTES = 16 * 1024
_BIG_CHUNK_BYTES = 1024 * 1024
# As ints: the enum's operators cost as much as the system call.
_ERROR = Command.ERROR
_SEND = int(socket.MSG_NOSIGNAL)
_MORE_FOLLOWS = int(socket.MSG_NOSIGNAL | getattr(socket, "MSG_MORE", 0))


class Registration(Protocol):
    """What a link tells its job server about the worker."""

    @property
    def functions(self) -> dict[bytes, str]:
        """The functions on the wire, most important first, and the names of their tasks."""
        ...

    @property
    def client_id(self) -> bytes | None:
        """How the worker is called in the admin command `workers`."""
        ...

    @property
    def job_class(self) -> type[GearmanJob]:
        """What jobs are made of."""
        ...

    def on_gearman_error(self, error_code: str, error_text: str) -> bool:
        """Hear what a job server complains of."""
        ...

    def on_registered(self, server: Address) -> None:
        """Hear that a job server knows the functions."""
        ...


class Link:
    """The connection of a worker to one job server, or the attempts to get one."""

    def __init__(
        self,
        address: Address,
        selector: selectors.BaseSelector,
        registration: Registration,
        *,
        prefetch: int,
        timing: Timing,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self.address = address
        self.machine: Machine | None = None
        self.jobs: set[GearmanJob] = set()
        self.assigned: Callable[[GearmanJob], None] = lambda job: None
        #: Why there is no connection, and none under way that may still succeed.
        self.failure: Exception | None = None
        #: When the last bytes went out, while not all of them did.
        self.blocked_at: float | None = None
        self._selector = selector
        self._registration = registration
        self._job_class = registration.job_class
        self._prefetch = prefetch
        self._timing = timing
        self._connect_timeout = connect_timeout
        self._backoff = Backoff()
        self._redial_at = 0.0
        self._dial: Dial | None = None
        self._socket: Stream | None = None
        self._reader = PacketReader()
        self._chunk_bytes = _CHUNK_BYTES
        self._was_registered = False
        self._is_registered = False
        self._has_complained = False

    def __repr__(self) -> str:
        state = self.machine.state.name if self.machine else "DIALING" if self._dial else "DOWN"
        return f"<Link {self.address} {state}, {len(self.jobs)} jobs in hand>"

    @property
    def deadline(self) -> float:
        """When `tick` has something to do."""
        if self.machine is not None:
            return self.machine.deadline
        return self._dial.deadline if self._dial is not None else self._redial_at

    def tick(self, now: float) -> None:
        """Do what is due: dial, give an attempt up, grab again, notice a silence."""
        if now < self.deadline:
            return
        if self.machine is not None:
            try:
                self.machine.tick(now)
            except errors.ConnectionError as error:
                self.lose(error, now)
        elif self._dial is not None:
            self._advance(self._dial, now)
        else:
            self._dial = Dial(self.address, timeout=self._connect_timeout)
            self._advance(self._dial, now)

    def handle(self, mask: int, now: float) -> None:
        """Do what the selector says is possible."""
        if self._dial is not None:
            self._advance(self._dial, now)
            return
        if mask & selectors.EVENT_READ:
            self._read(now)
        if mask & selectors.EVENT_WRITE:
            self.flush(now)

    def flush(self, now: float, *, more_follows: bool = False) -> None:
        """Send what the job server takes of it; the rest goes when there is room.

        If `more_follows`, the kernel waits for that up to 200 ms, and sends then
        in any case, even if this process is stuck or killed by then.
        """
        machine, sock = self.machine, self._socket
        if machine is None or sock is None or not machine.outgoing:
            return
        try:
            sent = sock.send(machine.outgoing, _MORE_FOLLOWS if more_follows else _SEND)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.lose(error, now)
            return
        if sent == len(machine.outgoing):
            machine.outgoing.clear()
            if self.blocked_at is not None:
                self._set_blocked(None, now)
        else:
            del machine.outgoing[:sent]
            self._set_blocked(now if sent or self.blocked_at is None else self.blocked_at, now)

    def renew(self, now: float) -> bool:
        """Tell what has changed in the registration; return whether all of it is told."""
        if self.machine is None:
            return True  # the greeting of the next connection says it
        return self.machine.renew(
            tuple(self._registration.functions),  # other threads may change it
            self._registration.client_id,
            {to_bytes(job.task) for job in self.jobs},
            now,
        )

    def leave(self, now: float) -> None:
        """Stop dialing, or close as soon as the job server has read what was sent."""
        if self.machine is not None and self._is_registered:
            self.machine.leave(now)
        else:
            self.close()

    def lose(self, error: Exception, now: float) -> None:
        """Close a connection that cannot be used any more, and dial again after a while."""
        is_leaving = self.machine is not None and self.machine.state in {LEAVING, GONE}
        was_registered = self._is_registered
        self.close()
        if is_leaving:
            return
        self.failure = error
        delay = self._backoff.failed()
        self._redial_at = now + delay
        self._report_loss(error, was_registered=was_registered, delay=delay)

    def close(self) -> None:
        """Close at once; the job server gives the jobs in hand to other workers."""
        if self._dial is not None:
            self._unregister(self._dial)
            self._dial.close()
        if self._socket is not None:
            self._unregister(self._socket)
            self._socket.close()
        self.machine = self._socket = self._dial = self.blocked_at = None
        self._is_registered = False
        self._redial_at = NEVER
        for job in self.jobs:
            job.is_finished = True  # by somebody else
        self.jobs.clear()

    @property
    def waiting_bytes(self) -> int:
        """How much has to be sent."""
        return len(self.machine.outgoing) if self.machine is not None else 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, or an attempt to get one."""
        return self._socket is not None or self._dial is not None

    def _advance(self, dial: Dial, now: float) -> None:
        self._unregister(dial)
        try:
            sock = dial.advance()
        except errors.ConnectionError as error:
            self.lose(error, now)
            return
        if sock is None:
            self._selector.register(dial, dial.events, self.handle)
        else:
            self._dial = None
            self._begin(sock, now)

    def _begin(self, sock: Stream, now: float) -> None:
        self._socket = sock
        self._reader = PacketReader()
        self._selector.register(sock, selectors.EVENT_READ, self.handle)
        self.machine = Machine(prefetch=self._prefetch, timing=self._timing)
        self.machine.greet(self._registration.functions, self._registration.client_id, now)
        self.flush(now)

    def _read(self, now: float) -> None:
        assert self._socket is not None
        try:
            chunk = self._socket.recv(self._chunk_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(error, now)
            return
        if not chunk:
            self.lose(errors.ConnectionError("it closed the connection"), now)
            return
        self._chunk_bytes = _BIG_CHUNK_BYTES if len(chunk) >= _CHUNK_BYTES else _CHUNK_BYTES
        try:
            self._take_packets(chunk, now)
        except errors.ProtocolError as error:
            self.lose(error, now)

    def _take_packets(self, chunk: bytes, now: float) -> None:
        machine, packet = self.machine, None
        assert machine is not None
        for packet in self._reader.packets(chunk):
            if machine.receive(packet, now) is not None:
                self._take_job(packet)
            elif packet[0] is _ERROR:
                self._note_error(packet)
        if packet is None:  # a part of a big one
            machine.progress(now)
        if not self._is_registered and machine.state is not PROBING:
            self._registered()
        if machine.state is GONE:
            self.close()

    def _take_job(self, packet: Packet) -> None:
        handle, function, unique, data = packet.args
        if len(handle) > MAX_HANDLE_BYTES:
            raise errors.ProtocolError(f"a job came under a handle of {len(handle)} bytes")
        task = self._registration.functions.get(function) or to_text(function)
        # As `to_text` does, without a call for each of these few bytes.
        handle_text = handle.decode("utf-8", "surrogateescape")
        job = self._job_class(
            self, handle_text, task, unique.decode("utf-8", "surrogateescape"), data
        )
        self.jobs.add(job)
        self.assigned(job)

    def _note_error(self, packet: Packet) -> None:
        code, text = (to_message(arg) for arg in packet.args)
        if code == "JOB_NOT_FOUND":
            logger.info(
                "Job server %s had given a finished job to another worker",
                self.address,
                extra={"action": "job_not_found"},
            )
            return
        logger.warning(
            "Job server %s sent an error: %s: %s",
            self.address,
            code,
            text,
            extra={"action": "server_error", "code": code},
        )
        self._registration.on_gearman_error(code, text)

    def _registered(self) -> None:
        """Say that the job server has read our registration: it has answered the ECHO after it."""
        self._is_registered = True
        self.failure = None
        self._backoff.succeeded()
        is_back = self._was_registered or self._has_complained
        self._was_registered, self._has_complained = True, False
        count = len(self._registration.functions)
        logger.info(
            "Job server %s is back: registered again, ready for jobs of %s"
            if is_back
            else "Registered at job server %s: ready for jobs of %s",
            self.address,
            "1 function" if count == 1 else f"{count} functions",
            extra={
                "action": "worker_reconnected" if is_back else "worker_registered",
                "server": str(self.address),
                "functions": count,
            },
        )
        self._registration.on_registered(self.address)

    def _report_loss(self, error: Exception, *, was_registered: bool, delay: float) -> None:
        """Say once that the job server is lost, once that it cannot be reached, and then no more."""
        extra = {"server": str(self.address)}
        if was_registered:
            logger.warning(
                "Lost job server %s: %s; reconnecting",
                self.address,
                error,
                extra={"action": "worker_disconnected", **extra},
            )
        elif not self._has_complained:
            self._has_complained = True
            logger.warning(
                "Job server %s cannot be reached and will be tried until it can: %s",
                self.address,
                error,
                extra={"action": "worker_unreachable", **extra},
            )
        else:
            logger.debug("%s; next attempt in %.1f s", error, delay, extra=extra)

    def _set_blocked(self, since: float | None, now: float) -> None:
        assert self._socket is not None
        if (since is None) != (self.blocked_at is None):
            write = 0 if since is None else selectors.EVENT_WRITE
            self._selector.modify(self._socket, selectors.EVENT_READ | write, self.handle)
        self.blocked_at = since
        if since is None or since == now:
            assert self.machine is not None
            self.machine.progress(now)

    def _unregister(self, source: Stream | Dial) -> None:
        try:
            self._selector.unregister(source)
        except (KeyError, ValueError):
            pass
