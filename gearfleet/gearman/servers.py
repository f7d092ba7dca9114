"""The client's view of one job server: its connection, and whether to avoid it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from gearfleet import errors
from gearfleet.gearman.backoff import Backoff
from gearfleet.gearman.channel import Channel
from gearfleet.gearman.connection import Unwritten

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.jobs import GearmanJobRequest


class Server:
    """One job server of a client's list; any number of threads may use it."""

    def __init__(
        self, address: Address, connect_timeout: float, interval: float, limit: float
    ) -> None:
        self.address = address
        self.current: Channel | None = None
        self.avoid_until = 0.0
        self._connect_timeout = connect_timeout
        self._heartbeat = {"heartbeat_interval": interval, "heartbeat_limit": limit}
        self._backoff = Backoff()
        self._connecting = threading.Lock()

    def write(self, write: Callable[[Channel], None], deadline: float | None) -> Channel:
        """Call `write` with a connection that takes it, and return that.

        Raises:
            errors.ConnectionError: nothing was written; with the address and the reason.
        """
        channel = self.channel(deadline)
        try:
            write(channel)
        except Unwritten:
            # The job server closed it while nobody looked; that one may be back.
            channel = self.channel(deadline)
            write(channel)
        return channel

    def submit(self, request: GearmanJobRequest, packet: bytes, deadline: float | None) -> Channel:
        """Write the submit of one request to a connection that takes it; raises as `write` does."""
        try:
            return self._submit(request, packet, deadline)
        except Unwritten:
            return self._submit(request, packet, deadline)

    def _submit(self, request: GearmanJobRequest, packet: bytes, deadline: float | None) -> Channel:
        channel = self.channel(deadline)
        try:
            channel.ask(request, packet, deadline)
        except Unwritten:
            raise
        except errors.ConnectionError:
            pass  # begun, so it goes nowhere else; the request is marked as lost
        return channel

    def channel(self, deadline: float | None) -> Channel:
        """Return the connection, made now if there is none.

        Raises:
            errors.ConnectionError: with the address and the reason.
        """
        channel = self.current
        if channel is not None and channel.lost is None:
            if not channel.is_idle:
                return channel
            self._probe(channel, deadline)
            if channel.lost is None:
                return channel
        timeout = self._connect_timeout
        if deadline is not None:
            timeout = min(timeout, max(0.001, deadline - time.monotonic()))
        if not self._connecting.acquire(timeout=timeout):
            raise errors.ConnectionError(f"Another thread is still connecting to {self.address}")
        try:
            if self.current is None or self.current.lost is not None:
                self.current = self._open(timeout)
            return self.current
        finally:
            self._connecting.release()

    def _probe(self, channel: Channel, deadline: float | None) -> None:
        try:
            channel.probe(deadline)
        except errors.ConnectionError:
            if channel.lost is None:  # the caller's time is over
                raise

    def _open(self, timeout: float) -> Channel:
        try:
            channel = Channel.open(self.address, timeout=timeout, **self._heartbeat)
        except errors.ConnectionError:
            self.avoid_until = time.monotonic() + self._backoff.failed()
            raise
        self._backoff.succeeded()
        self.avoid_until = 0.0
        return channel

    def close(self) -> None:
        """Close the connection; the next job opens another one."""
        if self.current is not None:
            self.current.close()
            self.current = None
