"""The asyncio client's view of one job server: its connection, and whether to avoid it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from gearfleet import errors
from gearfleet.gearman.aio.channel import AsyncChannel
from gearfleet.gearman.aio.waits import within
from gearfleet.gearman.backoff import Backoff
from gearfleet.gearman.connection import Unwritten

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gearfleet.gearman.addresses import Address


class AsyncServer:
    """One job server of a client's list; any number of tasks of one event loop may use it."""

    def __init__(
        self, address: Address, connect_timeout: float, interval: float, limit: float
    ) -> None:
        self.address = address
        self.current: AsyncChannel | None = None
        self.avoid_until = 0.0
        self._connect_timeout = connect_timeout
        self._heartbeat = {"heartbeat_interval": interval, "heartbeat_limit": limit}
        self._backoff = Backoff()
        self._connecting = asyncio.Lock()
        self._times_closed = 0

    async def write(
        self, write: Callable[[AsyncChannel], Awaitable[None]], deadline: float | None
    ) -> AsyncChannel:
        """Call `write` with a connection that takes it, and return that.

        Raises:
            errors.ConnectionError: nothing was written; with the address and the reason.
        """
        channel = await self.channel(deadline)
        try:
            await write(channel)
        except Unwritten:
            if channel.lost is None:
                raise
            # The job server closed it while nobody looked; that one may be back.
            channel = await self.channel(deadline)
            await write(channel)
        return channel

    async def channel(self, deadline: float | None) -> AsyncChannel:
        """Return the connection, made now if there is none.

        Raises:
            errors.ConnectionError: with the address and the reason.
        """
        channel = self.current
        if channel is not None and channel.lost is None:
            return channel
        begun = time.monotonic()
        timeout = self._connect_timeout
        if deadline is not None:
            timeout = min(timeout, deadline - begun)
        until = begun + timeout
        try:
            await within(until, self._connecting.acquire())
        except TimeoutError:
            raise errors.ConnectionError(
                f"Another task is still connecting to {self.address}"
            ) from None
        try:
            if self.current is None or self.current.lost is not None:
                self.current = await self._open(timeout, until)
            return self.current
        finally:
            self._connecting.release()

    async def _open(self, timeout: float, until: float) -> AsyncChannel:
        times_closed = self._times_closed
        try:
            channel = await AsyncChannel.open(
                self.address, timeout=timeout, until=until, **self._heartbeat
            )
        except errors.ConnectionError:
            self.avoid_until = time.monotonic() + self._backoff.failed()
            raise
        self._backoff.succeeded()
        self.avoid_until = 0.0
        if self._times_closed != times_closed:
            error = errors.ConnectionError(f"The connection to {self.address} was closed here")
            channel.abort(error)
            raise error
        return channel

    async def close(self) -> None:
        """Close the connection; the next job opens another one."""
        self._times_closed += 1
        channel, self.current = self.current, None
        if channel is not None:
            await channel.close()
