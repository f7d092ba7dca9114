"""A connection that any number of tasks share; the session behind it is the same as everywhere.

A task that is cancelled, or gives up at its deadline, leaves nothing half done:
a packet is handed to the transport whole, together with the note of who gets
its answer, or not at all. An answer that nobody waits for any more is dealt with
as any other.

What a job server does not take yet waits here, but no more than one packet
above `_HIGH_WATER_BYTES`: writers stand in line until there is room.
"""

from __future__ import annotations

import asyncio
import select
import time
from typing import TYPE_CHECKING, Any

from gearfleet import errors
from gearfleet.gearman.aio.connect import connect
from gearfleet.gearman.aio.waits import Waits, within
from gearfleet.gearman.channel import HEARTBEAT_INTERVAL, HEARTBEAT_LIMIT, PING, next_batch
from gearfleet.gearman.connection import Unwritten
from gearfleet.gearman.protocol import Command, PacketReader
from gearfleet.gearman.session import WANT_EXCEPTIONS, ClientSession, Question
from gearfleet.gearman.tls import HUNG_UP_AFTER, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.jobs import GearmanJobRequest
    from gearfleet.gearman.session import Owed

_HIGH_WATER_BYTES = 256 * 1024


class AsyncChannel(asyncio.Protocol):
    """One job server's connection and session, for any number of tasks of one event loop."""

    _transport: asyncio.Transport

    def __init__(
        self,
        address: Address,
        *,
        heartbeat_interval: float = HEARTBEAT_INTERVAL,
        heartbeat_limit: float = HEARTBEAT_LIMIT,
    ) -> None:
        self.address = address
        self.lost: errors.GearmanError | None = None
        self._session = ClientSession(address)
        self._reader = PacketReader()
        self._waits = Waits()
        self._interval = heartbeat_interval
        self._limit = heartbeat_limit
        self._writing = asyncio.Lock()
        self._room = asyncio.Event()
        self._room.set()
        self._poller = select.poll()
        self._unsent_bytes = 0
        #: When we last heard something, or saw it take something, or began to expect something.
        self._alive_at = time.monotonic()
        self._has_heard = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_gone = asyncio.Event()

    @classmethod
    async def open(
        cls,
        address: Address,
        *,
        timeout: float,
        until: float,
        heartbeat_interval: float = HEARTBEAT_INTERVAL,
        heartbeat_limit: float = HEARTBEAT_LIMIT,
    ) -> AsyncChannel:
        """Connect, and ask for the exceptions of jobs, before `until`.

        That is the end of the `timeout` that was set, and which an error tells.

        Raises:
            errors.ConnectionError: with the address and the reason.
        """
        channel = await connect(
            address,
            lambda: cls(
                address, heartbeat_interval=heartbeat_interval, heartbeat_limit=heartbeat_limit
            ),
            timeout=timeout,
            until=until,
        )
        try:
            await channel._greet(until, timeout)
        except BaseException:
            channel.abort(errors.ConnectionError(f"The connection to {address} was given up"))
            raise
        return channel

    async def _greet(self, deadline: float, timeout: float) -> None:
        # A stopped process still takes connections, in its kernel. Waiting for
        # this first answer keeps submits away from it while they may still go elsewhere.
        question = Question(Command.OPTION_RES)
        await self.ask(question, WANT_EXCEPTIONS, deadline=deadline)
        await self.wait([question], _is_answered, deadline)
        if self.lost is not None:
            raise errors.ConnectionError(
                f"Job server {self.address} took the connection and answered nothing: {self.lost}"
            ) from self.lost
        if not question.is_answered:
            raise errors.ConnectionError(
                f"Job server {self.address} took the connection and said nothing for {timeout:.1f} s"
            )

    async def ask(self, owed: Owed, packet: bytes, *, deadline: float | None) -> None:
        """Write `packet` and expect its answer, which is awaited with `wait`.

        Raises:
            Unwritten: not one byte was written; another job server may be tried.
        """
        await self._write([owed], packet, deadline)

    async def submit_many(
        self,
        requests: Sequence[GearmanJobRequest],
        packets: Sequence[bytes],
        *,
        deadline: float | None = None,
    ) -> int:
        """Write many submits with few system calls; return how many were written.

        Those that were not may go to another job server.
        """
        written = 0
        try:
            while written < len(requests):
                batch = next_batch(packets, written)
                owed = requests[written : written + len(batch)]
                await self._write(owed, b"".join(batch), deadline)
                written += len(batch)
        except Unwritten:
            if not written:
                raise
        return written

    async def wait(
        self, items: Iterable[Owed], is_done: Callable[[Any], bool], deadline: float | None
    ) -> None:
        """Return when each of the items is done or lost, or when `deadline` has passed."""
        if self.lost is None:
            await self._waits.wait(items, is_done, deadline)

    async def close(self) -> None:
        """End the connection; requests without a result are marked as lost."""
        self._lose(errors.ConnectionError(f"The connection to {self.address} was closed here"))
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # nobody waits any more for what it does not take
        else:
            self._transport.close()
        await self._is_gone.wait()

    def abort(self, error: errors.GearmanError) -> None:
        """End the connection at once."""
        self._lose(error)
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self._poller.register(transport.get_extra_info("socket"), select.POLLIN)
        self._set_timer()

    def data_received(self, data: bytes) -> None:
        if self.lost is not None:
            return
        self._alive_at, self._has_heard = time.monotonic(), True
        try:
            for packet in self._reader.packets(data):
                item = self._session.receive(packet)
                if item is not None:
                    self._waits.notify(item)
        except errors.GearmanError as error:
            self.abort(error)

    def eof_received(self) -> None:
        self._lose(self._ended(None))

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(self._ended(error))
        self._is_gone.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def _write(self, owed: Sequence[Owed], data: bytes, deadline: float | None) -> None:
        if self._poller.poll(0):
            await self._look_before_writing()
        if self._room.is_set() and not self._writing.locked():
            self._write_now(owed, data)
            return
        try:
            await within(deadline, self._write_in_line(owed, data))
        except TimeoutError:
            raise Unwritten(f"Job server {self.address} took no more data in time") from None

    async def _look_before_writing(self) -> None:
        """Let the event loop read what has come: it may be the end of the connection."""
        # It looks at the descriptors after the first of these, and reads before the second ends.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _write_in_line(self, owed: Sequence[Owed], data: bytes) -> None:
        async with self._writing:
            await self._room.wait()
            self._write_now(owed, data)

    def _write_now(self, owed: Sequence[Owed], data: bytes) -> None:
        if self.lost is not None:
            raise Unwritten(str(self.lost))
        if not self._session.owed:
            self._alive_at = time.monotonic()
        self._session.expect(*owed)
        self._transport.write(data)

    def _set_timer(self) -> None:
        delay = min(self._interval, self._limit) / 2
        self._timer = asyncio.get_running_loop().call_later(delay, self._check_heartbeat)

    def _check_heartbeat(self) -> None:
        now, unsent = time.monotonic(), self._transport.get_write_buffer_size()
        # Where the event loop was held up, an answer may have been here for long.
        if unsent < self._unsent_bytes or self._poller.poll(0):
            self._alive_at = now
        self._unsent_bytes = unsent
        silent = now - self._alive_at
        if self._session.owed:
            if silent >= self._limit:
                self.abort(
                    errors.ConnectionError(
                        f"Job server {self.address} has been silent for {silent:.1f} s"
                    )
                )
                return
        elif silent >= self._interval:
            self._write_now([Question(Command.ECHO_RES)], PING)
        self._set_timer()

    def _lose(self, error: errors.GearmanError) -> None:
        if self.lost is not None:
            return
        self.lost = error
        if self._timer is not None:
            self._timer.cancel()
        self._session.lost(error)
        self._waits.notify_all()
        self._room.set()

    def _ended(self, error: Exception | None) -> errors.ConnectionError:
        """Return why there is no connection any more."""
        name = self.address
        has_hung_up = error is None or isinstance(error, ConnectionError)
        if name.tls is not None and not self._has_heard and has_hung_up:
            return errors.TLSError(f"The connection to job server {name} broke: {HUNG_UP_AFTER}")
        if error is None:
            return errors.ConnectionError(f"Job server {name} closed the connection")
        kind = errors.TLSError if hasattr(error, "reason") else errors.ConnectionError
        reason = explain(error) if isinstance(error, OSError) else str(error)
        return kind(f"The connection to job server {name} broke: {reason}")


def _is_answered(question: Question) -> bool:
    return question.is_answered
