"""The embedded server's connections without sockets: bytes in, bytes out, in one thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gearfleet.gearman.server.service import DEFAULT_LIMITS, Connection, Limits, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Story = Callable[[Service], Awaitable[None]]


def packet(command: int, *args: bytes) -> bytes:
    body = b"\0".join(args)
    return b"\0REQ" + command.to_bytes(4, "big") + len(body).to_bytes(4, "big") + body


def in_a_loop(story: Story, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Tell a story to a new service."""

    async def tell() -> None:
        await story(Service(limits=limits, host="host"))

    asyncio.run(tell())


async def next_turn() -> None:
    """Let connections that were closed be lost."""
    await asyncio.sleep(0)


class NoSocket:
    def fileno(self) -> int:
        return 7

    def setsockopt(self, *_args: object) -> None:
        pass


class Wire(asyncio.Transport):
    """The transport of a new connection; what nobody hears counts as unread, as in asyncio."""

    def __init__(self, service: Service) -> None:
        super().__init__({"socket": NoSocket(), "peername": ("192.0.2.1", 1234)})
        self.writes: list[bytes] = []
        self._closing = False
        self._limit = 0
        self.connection = Connection(service)
        self.connection.connection_made(self)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._limit = high or 0

    def write(self, data: Any) -> None:
        assert not self._closing
        self.writes.append(data)
        if sum(map(len, self.writes)) > self._limit:
            self.connection.pause_writing()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    abort = close

    def say(self, data: bytes) -> bytes:
        """Deliver bytes, as asyncio does until the connection is closed; return the answer."""
        if not self._closing:
            self.connection.data_received(data)
        return self.hear()

    def hear(self) -> bytes:
        """Return what was written since the last time."""
        heard, self.writes = b"".join(self.writes), []
        return heard
