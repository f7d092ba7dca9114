"""Run a GearmanWorker in a thread for as long as a test needs it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.gearman import GearmanWorker


class Running:
    """A worker at work in a thread of its own."""

    def __init__(self, worker: GearmanWorker) -> None:
        self.worker = worker
        self.raised: BaseException | None = None
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        try:
            self.worker.work()
        except BaseException as error:
            self.raised = error

    @property
    def has_left(self) -> bool:
        return not self._thread.is_alive()

    def wait(self) -> None:
        self._thread.join(DEADLINE)
        assert self.has_left, "the worker does not leave"


@contextmanager
def running(*workers: GearmanWorker) -> Iterator[list[Running]]:
    """Let the workers work; shut them down at the end, and fail if one does not leave."""
    threads = [Running(worker) for worker in workers]
    try:
        yield threads
    finally:
        for worker in workers:
            worker.shutdown()
        for thread in threads:
            thread.wait()
