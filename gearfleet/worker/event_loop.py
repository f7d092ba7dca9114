"""The event loop on which coroutine tasks run, one for each worker.

It lives on between jobs, so that tasks can keep clients that belong to it.
`OwnLoop` runs in the thread that runs the jobs, one at a time. `SharedLoop` runs
in a thread of its own, for the coroutines of many threads at the same time.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol

from gearfleet.errors import JobInterrupted

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

logger = logging.getLogger(__name__)


class Loop(Protocol):
    """Runs coroutines of jobs."""

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Return what `coroutine` returns, in the context of the job that runs here."""

    def close(self) -> None:
        """End the event loop, if there was one."""


class OwnLoop:
    """Runs one coroutine at a time, in the calling thread."""

    def __init__(self) -> None:
        """Begin no event loop before the first coroutine."""
        self._runner: asyncio.Runner | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it on the same loop as the ones before."""
        if self._runner is None:
            import asyncio  # for those who use it

            self._runner = asyncio.Runner()
        try:
            # In the context of this job, not in that of the first one.
            return self._runner.run(coroutine, context=copy_context())
        except JobInterrupted:
            self.close()  # cancels the coroutine, so that its finally blocks run
            raise

    def close(self) -> None:
        """End the event loop, if there was one."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()


class SharedLoop:
    """Runs coroutines of many threads at the same time, in a thread of its own."""

    def __init__(self) -> None:
        """Begin no event loop before the first coroutine."""
        self._runner: asyncio.Runner | None = None
        self._thread: threading.Thread | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._beginning = threading.Lock()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run it on the loop; this thread waits until it has ended, cancelled or not."""
        loop, ended = self._begun(), Future[Any]()

        def end(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            if not ended.done():  # it was cancelled before it began
                coroutine.close()
                ended.cancel()

        def begin() -> None:
            task = loop.create_task(_run(coroutine, ended))
            self._running.add(task)
            task.add_done_callback(end)

        loop.call_soon_threadsafe(begin)  # which takes the context of this job with it
        return ended.result()

    def cancel(self) -> None:
        """Cancel the coroutines that run, so that their finally blocks do; safe in any thread."""
        if self._runner is not None:
            self._runner.get_loop().call_soon_threadsafe(self._cancel_all)

    def close(self) -> None:
        """End the event loop, if there was one."""
        self._is_closing = True
        if self._runner is not None and self._thread is not None:
            loop = self._runner.get_loop()
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()

    def _begun(self) -> asyncio.AbstractEventLoop:
        with self._beginning:
            if self._runner is None:
                import asyncio

                self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
                self._runner.get_loop()
                self._thread = threading.Thread(target=self._serve, name="event loop", daemon=True)
                self._thread.start()
            return self._runner.get_loop()

    def _serve(self) -> None:
        assert self._runner is not None
        with self._runner as runner:
            while not self._is_closing:
                try:
                    runner.get_loop().run_forever()
                except BaseException:  # a callback called sys.exit(): the others go on
                    logger.exception("A callback in the event loop of the worker raised")

    def _cancel_all(self) -> None:
        for task in self._running:
            task.cancel()


async def _run(coroutine: Coroutine[Any, Any, Any], ended: Future[Any]) -> None:
    """Let whoever waits have the result, or whatever was raised: the loop itself hears of neither."""
    try:
        ended.set_result(await coroutine)
    except BaseException as error:
        ended.set_exception(error)
