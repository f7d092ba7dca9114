"""The job server in a thread of the caller's process."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Self

from gearfleet.gearman.server.service import DEFAULT_LIMITS, Limits, serve


class EmbeddedServer:
    """A job server in a thread of this process, for tests and demonstrations.

    Example:
        with EmbeddedServer() as server:
            client = GearmanClient([server.address])
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        limits: Limits = DEFAULT_LIMITS,
        job_retries: int = 0,
    ) -> None:
        self._host = host
        self._port = port
        self._limits = limits
        self._job_retries = job_retries
        self._started: Future[tuple[str, int]] = Future()
        self._thread = threading.Thread(target=self._run, name="gearfleet-server", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._draining: asyncio.Event
        self._serving: asyncio.Task[None]

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port`` or ``[host]:port``."""
        host, port = self._started.result()
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def __enter__(self) -> Self:
        """Start, and return when connections are accepted.

        Raises:
            GearmanError: it is not possible to listen there.
        """
        self._thread.start()
        self._started.result()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        """Close every connection and end the thread."""
        with suppress(RuntimeError):  # it has drained, and its loop is closed
            self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join()

    def drain(self, timeout: float | None = None) -> bool:
        """Accept no connection any more; return whether every job was done within `timeout`."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._draining.set)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self._started.set_exception(error)

    def _note_address(self, host: str, port: int) -> None:
        self._started.set_result((host, port))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._draining = asyncio.Event()
        self._serving = self._loop.create_task(
            serve(
                self._host,
                self._port,
                ready=self._note_address,
                limits=self._limits,
                job_retries=self._job_retries,
                draining=self._draining,
            )
        )
        await self._serving
