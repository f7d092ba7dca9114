"""One asyncio client for each event loop, closed when the loop ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from gearfleet.gearman.aio import AsyncGearmanClient


class PerLoop:
    """The clients of the event loops of this process, on the job servers of one list."""

    def __init__(self, servers: Sequence[str]) -> None:
        self._servers = servers
        self._lives: WeakKeyDictionary[
            asyncio.AbstractEventLoop, AsyncGenerator[AsyncGearmanClient]
        ] = WeakKeyDictionary()
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGearmanClient] = (
            WeakKeyDictionary()
        )

    async def client(self) -> AsyncGearmanClient:
        """Return the client of the running event loop."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            # asyncio.run() closes the asynchronous generators that were begun: so
            # it closes the connections of a caller who thinks of nothing but adelay().
            self._lives[loop] = life = self._life()
            client = self._clients[loop] = await anext(life)
        return client

    async def close(self) -> None:
        """Close the client of the running event loop."""
        life = self._lives.get(asyncio.get_running_loop())
        if life is not None:
            await life.aclose()

    async def _life(self) -> AsyncGenerator[AsyncGearmanClient]:
        # Whoever never submits from an event loop never imports asyncio's layer.
        from gearfleet.gearman.aio import AsyncGearmanClient

        client = AsyncGearmanClient(self._servers)
        try:
            yield client
        finally:
            loop = asyncio.get_running_loop()
            self._lives.pop(loop, None)
            self._clients.pop(loop, None)
            await client.close()
