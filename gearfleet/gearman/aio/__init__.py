"""The asyncio client. Import `AsyncGearmanClient` from `gearfleet.gearman`.

It is a package of its own so that programs without asyncio do not load that.
"""

from gearfleet.gearman.aio.client import AsyncGearmanClient
from gearfleet.gearman.aio.streams import AsyncJobStream

__all__ = ["AsyncGearmanClient", "AsyncJobStream"]
